SELECT
  "T"."AT",
  "T"."ENTITY"
FROM (
  SELECT
    "T"."AT",
    "T"."ENTITY",
    ROW_NUMBER() OVER (PARTITION BY "T"."AT" ORDER BY "T"."LATEST" DESC NULLS LAST, "T"."ENTITY") AS "PLACE"
  FROM (
    SELECT
      "M"."AT",
      "I"."ENTITY",
      MAX("I"."HAPPENED") AS "LATEST"
    FROM "RFM_INTERACTIONS_X" AS "I"
    JOIN "RFM_MOMENTS_X" AS "M"
      ON "I"."KNOWN" <= "M"."AT" AND (
        "I"."UNTIL" IS NULL OR "I"."UNTIL" > "M"."AT"
      )
    JOIN "RFM_CATALOGUE_X" AS "G"
      ON "G"."AT" = "M"."AT" AND "G"."ITEM" = "I"."ITEM"
    GROUP BY
      "M"."AT",
      "I"."ENTITY"
  ) AS "T"
) AS "T"
WHERE
  "T"."PLACE" <= 10000
