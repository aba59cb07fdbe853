SELECT
  "N".*,
  ROW_NUMBER() OVER (
    PARTITION BY "N"."AT"
    ORDER BY "N"."ENTITIES_Q" DESC NULLS LAST, "N"."ENTITIES_1" DESC NULLS LAST, "N"."ITEM"
  ) AS "PLACE"
FROM (
  SELECT
    "S"."AT",
    "S"."ITEM",
    COUNT(*) AS "ENTITIES",
    COUNT(CASE WHEN "S"."LATEST" > "M"."SINCE_Q" THEN 1 END) AS "ENTITIES_Q",
    COUNT(CASE WHEN "S"."LATEST" > "M"."SINCE_1" THEN 1 END) AS "ENTITIES_1"
  FROM (
    SELECT
      "M"."AT",
      "I"."ENTITY",
      "I"."ITEM",
      MAX("I"."HAPPENED") AS "LATEST"
    FROM "RFM_SIGNAL0_X" AS "I"
    JOIN "RFM_MOMENTS_X" AS "M"
      ON "I"."KNOWN" <= "M"."AT"
      AND "I"."HAPPENED" > "M"."SINCE_S"
      AND (
        "I"."UNTIL" IS NULL OR "I"."UNTIL" > "M"."AT"
      )
    JOIN "RFM_CATALOGUE_X" AS "G"
      ON "G"."AT" = "M"."AT" AND "G"."ITEM" = "I"."ITEM"
    GROUP BY
      "M"."AT",
      "I"."ENTITY",
      "I"."ITEM"
  ) AS "S"
  JOIN "RFM_MOMENTS_X" AS "M"
    ON "M"."AT" = "S"."AT"
  GROUP BY
    "S"."AT",
    "S"."ITEM"
) AS "N"
