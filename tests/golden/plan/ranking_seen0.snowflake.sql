SELECT
  "S".*,
  ROW_NUMBER() OVER (
    PARTITION BY "S"."AT", "S"."ENTITY"
    ORDER BY "S"."LATEST" DESC NULLS LAST, "S"."TIMES" DESC NULLS LAST, "S"."ITEM"
  ) AS "NEWEST"
FROM (
  SELECT
    "M"."AT",
    "I"."ENTITY",
    "I"."ITEM",
    COUNT(*) AS "TIMES",
    SUM(CASE WHEN "I"."HAPPENED" > "M"."SINCE_Q" THEN 1 ELSE 0 END) AS "TIMES_Q",
    SUM(CASE WHEN "I"."HAPPENED" > "M"."SINCE_1" THEN 1 ELSE 0 END) AS "TIMES_1",
    SUM(
      EXP(
        -LEAST_IGNORE_NULLS(
          CAST(CAST(DATEDIFF(SECOND, "I"."HAPPENED", "M"."AT") AS DOUBLE) / 86400.0 AS DOUBLE) / "M"."DAYS",
          700.0
        )
      )
    ) AS "RECENT",
    MAX("I"."HAPPENED") AS "LATEST"
  FROM "RFM_SIGNAL0_X" AS "I"
  JOIN (
    SELECT DISTINCT
      "E"."AS_OF" AS "AT",
      "E"."ENTITY"
    FROM "RFM_EXAMPLES_X" AS "E"
  ) AS "T"
    ON "T"."ENTITY" = "I"."ENTITY"
    AND "I"."KNOWN" <= "T"."AT"
    AND (
      "I"."UNTIL" IS NULL OR "I"."UNTIL" > "T"."AT"
    )
  JOIN "RFM_MOMENTS_X" AS "M"
    ON "M"."AT" = "T"."AT" AND "I"."HAPPENED" > "M"."SINCE_S"
  JOIN "RFM_CATALOGUE_X" AS "G"
    ON "G"."AT" = "T"."AT" AND "G"."ITEM" = "I"."ITEM"
  GROUP BY
    "M"."AT",
    "I"."ENTITY",
    "I"."ITEM"
) AS "S"
