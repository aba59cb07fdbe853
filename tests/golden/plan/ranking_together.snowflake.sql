SELECT
  "K"."AT",
  "K"."A",
  "K"."B",
  "K"."SCORE"
FROM (
  SELECT
    "P".*,
    ROW_NUMBER() OVER (
      PARTITION BY "P"."AT", "P"."A"
      ORDER BY ROUND("P"."SCORE" * 1000000000) DESC NULLS LAST, "P"."B"
    ) AS "PLACE"
  FROM (
    SELECT
      "X"."AT",
      "X"."ITEM" AS "A",
      "Y"."ITEM" AS "B",
      CAST(COUNT(*) AS DOUBLE) / SQRT(CAST(MIN("X"."ENTITIES") AS DOUBLE) * MIN("Y"."ENTITIES")) AS "SCORE"
    FROM "RFM_WITNESSED_X" AS "X"
    JOIN "RFM_WITNESSED_X" AS "Y"
      ON "Y"."AT" = "X"."AT" AND "Y"."ENTITY" = "X"."ENTITY" AND "Y"."ITEM" <> "X"."ITEM"
    GROUP BY
      "X"."AT",
      "X"."ITEM",
      "Y"."ITEM"
    HAVING
      COUNT(*) >= 2
  ) AS "P"
) AS "K"
WHERE
  "K"."PLACE" <= 40
