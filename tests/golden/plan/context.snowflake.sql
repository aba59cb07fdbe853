WITH "DRAWN" AS (
  SELECT
    "L"."ENTITY",
    "L"."ANCHOR_TIME",
    "L"."LABEL",
    "L"."DRAW"
  FROM "RFM_DRAWS_X" AS "L"
  WHERE
    "L"."KNOWN_AT" <= CAST('2024-06-30 12:00:00' AS TIMESTAMP_NTZ)
), "NEWEST" AS (
  SELECT
    MIN("ANCHOR_TIME") AS "SINCE",
    MAX("DRAW") AS "LAST"
  FROM (
    SELECT
      "D"."ANCHOR_TIME",
      "D"."DRAW"
    FROM "DRAWN" AS "D"
    ORDER BY
      "D"."ANCHOR_TIME" DESC NULLS LAST,
      "D"."DRAW"
    LIMIT 500
  ) AS "X"
), "LOTS" AS (
  SELECT
    "D"."LABEL",
    "D"."DRAW"
  FROM "DRAWN" AS "D"
  ORDER BY
    "D"."DRAW"
  LIMIT 1000
), "LOT" AS (
  SELECT
    MAX("DRAW") AS "LAST"
  FROM (
    SELECT
      "DRAW"
    FROM "LOTS"
  ) AS "X"
), "MET" AS (
  SELECT
    "LABEL"
  FROM "LOTS"
  GROUP BY
    "LABEL"
  HAVING
    COUNT(*) >= 200
), "OF_CLASS" AS (
  SELECT
    "LABEL" AS "LABEL",
    MAX("DRAW") AS "LAST"
  FROM (
    SELECT
      "P"."LABEL",
      "P"."DRAW"
    FROM (
      SELECT
        "D"."LABEL",
        "D"."DRAW",
        ROW_NUMBER() OVER (PARTITION BY "D"."LABEL" ORDER BY "D"."DRAW" ASC) AS "PLACE"
      FROM "DRAWN" AS "D"
      LEFT JOIN "MET" AS "M"
        ON "M"."LABEL" = "D"."LABEL"
      WHERE
        "M"."LABEL" IS NULL
    ) AS "P"
    WHERE
      "P"."PLACE" <= 200
  ) AS "X"
  GROUP BY
    "LABEL"
), "NEAR" AS (
  SELECT
    "D".*
  FROM "DRAWN" AS "D"
  CROSS JOIN "NEWEST" AS "N"
  CROSS JOIN "LOT" AS "O"
  LEFT JOIN "OF_CLASS" AS "C"
    ON "C"."LABEL" = "D"."LABEL"
  WHERE
    (
      "D"."ANCHOR_TIME" >= "N"."SINCE" AND "D"."DRAW" <= "N"."LAST"
    )
    OR "D"."DRAW" <= "O"."LAST"
    OR "D"."DRAW" <= "C"."LAST"
)
SELECT
  "R"."ENTITY",
  "R"."ANCHOR_TIME",
  "R"."LABEL"
FROM (
  SELECT
    *,
    ROW_NUMBER() OVER (ORDER BY "ANCHOR_TIME" DESC NULLS LAST, "DRAW") AS "NEWEST",
    ROW_NUMBER() OVER (PARTITION BY "LABEL" ORDER BY "DRAW" ASC) AS "OF_CLASS"
  FROM "NEAR" AS "D"
) AS "R"
ORDER BY
  CASE WHEN "R"."OF_CLASS" <= 200 THEN 0 WHEN "R"."NEWEST" <= 500 THEN 1 ELSE 2 END,
  "R"."DRAW"
LIMIT 1000
