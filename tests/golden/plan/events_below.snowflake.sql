WITH "KEYED" AS (
  SELECT
    "O"."EXAMPLE_ID",
    "O"."K0" AS "G0",
    "O"."AS_OF" AS "UNTIL",
    LEAST("O"."ANCHOR_TIME" - INTERVAL '30 DAY', "O"."AS_OF") AS "B0"
  FROM "RFM_OWN_X" AS "O"
), "MOMENTS" AS (
  SELECT DISTINCT
    "G0",
    "T",
    "PLACE"
  FROM (
    SELECT
      "G0",
      "UNTIL" AS "T",
      0 AS "PLACE"
    FROM "KEYED"
    WHERE
      NOT "G0" IS NULL
    UNION ALL
    SELECT
      "G0",
      "B0" AS "T",
      2 AS "PLACE"
    FROM "KEYED"
    WHERE
      NOT "G0" IS NULL
  ) AS "M"
), "ASKED" AS (
  SELECT
    "G0",
    MAX("UNTIL") AS "LATEST"
  FROM "KEYED"
  GROUP BY
    "G0"
), "STREAM" AS (
  SELECT
    "R1"."REGION_ID" AS "G0",
    GREATEST("R0"."ORDERED_AT", "R1"."CREATED_AT") AS "T",
    1 AS "PLACE",
    "R0"."ORDER_ID" AS "P0"
  FROM "orders" AS "R0"
  INNER JOIN "customers" AS "R1"
    ON "R1"."CUSTOMER_ID" = "R0"."CUSTOMER_ID"
  INNER JOIN "ASKED" AS "A"
    ON "R1"."REGION_ID" = "A"."G0"
    AND GREATEST("R0"."ORDERED_AT", "R1"."CREATED_AT") <= "A"."LATEST"
  UNION ALL
  SELECT
    "G0",
    "T",
    "PLACE",
    NULL AS "P0"
  FROM "MOMENTS"
), "PLACED" AS (
  SELECT
    "S".*,
    "S"."PLACES" - "S"."MOMENTS" AS "SEQ",
    CASE WHEN "S"."PLACE" <> 1 THEN "S"."MOMENTS" - 1 ELSE "S"."MOMENTS" END AS "PIECE"
  FROM (
    SELECT
      "S".*,
      ROW_NUMBER() OVER (PARTITION BY "S"."G0" ORDER BY "S"."T", "S"."PLACE", "S"."P0") AS "PLACES",
      COUNT(CASE WHEN "S"."PLACE" <> 1 THEN 1 END) OVER (
        PARTITION BY "S"."G0"
        ORDER BY "S"."T", "S"."PLACE", "S"."P0"
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
      ) AS "MOMENTS"
    FROM "STREAM" AS "S"
  ) AS "S"
), "PIECES" AS (
  SELECT
    "S"."G0",
    "S"."PIECE",
    MAX(CASE WHEN "S"."PLACE" <> 1 THEN "S"."T" END) AS "T",
    MAX(CASE WHEN "S"."PLACE" <> 1 THEN "S"."PLACE" END) AS "PLACE",
    MAX("S"."SEQ") AS "N",
    MAX(CASE WHEN "S"."PLACE" = 1 THEN "S"."T" END) AS "HAPPENED"
  FROM "PLACED" AS "S"
  GROUP BY
    "S"."G0",
    "S"."PIECE"
), "RUNNING" AS (
  SELECT
    "P"."G0",
    "P"."T",
    "P"."PLACE",
    "P"."N",
    MAX("P"."HAPPENED") OVER (
      PARTITION BY "P"."G0"
      ORDER BY "P"."PIECE"
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS "HAPPENED"
  FROM "PIECES" AS "P"
)
SELECT
  "K"."EXAMPLE_ID" AS "EXAMPLE_ID",
  CAST((
    COALESCE("E"."N", 0) - COALESCE("B0"."N", 0)
  ) AS DOUBLE) AS "F0",
  CAST(COALESCE("E"."N", 0) AS DOUBLE) AS "F1",
  CAST(DATEDIFF(SECOND, "E"."HAPPENED", "K"."UNTIL") AS DOUBLE) / 86400.0 AS "F2"
FROM "KEYED" AS "K"
LEFT JOIN "RUNNING" AS "E"
  ON "E"."G0" = "K"."G0" AND "E"."T" = "K"."UNTIL" AND "E"."PLACE" = 0
LEFT JOIN "RUNNING" AS "B0"
  ON "B0"."G0" = "K"."G0" AND "B0"."T" = "K"."B0" AND "B0"."PLACE" = 2
ORDER BY
  "K"."EXAMPLE_ID"
