WITH "KEYED" AS (
  SELECT
    "EXAMPLE_ID",
    "ENTITY" AS "KEY",
    "ANCHOR_TIME",
    "AS_OF"
  FROM "RFM_EXAMPLES_X"
), "POINTS" AS (
  SELECT DISTINCT
    "KEY",
    "ANCHOR_TIME",
    "AS_OF"
  FROM "KEYED"
  WHERE
    NOT "KEY" IS NULL
), "ASKED" AS (
  SELECT
    "KEY",
    MAX("AS_OF") AS "UNTIL"
  FROM "POINTS"
  GROUP BY
    "KEY"
), "RAW" AS (
  SELECT
    "R1"."CUSTOMER_ID" AS "KEY",
    "R0"."ITEM_ID" AS "PK0",
    "R1"."ORDERED_AT" AS "T",
    CAST("R0"."QUANTITY" AS DOUBLE) AS "V0",
    NULLIF(CAST("P0"."PRICE" AS DOUBLE), CAST('NaN' AS DOUBLE)) AS "V1",
    CAST("P0"."CATEGORY" AS VARCHAR) AS "V2"
  FROM "items" AS "R0"
  INNER JOIN "orders" AS "R1"
    ON "R1"."ORDER_ID" = "R0"."ORDER_ID"
  LEFT JOIN "products" AS "P0"
    ON "P0"."PRODUCT_ID" = "R0"."PRODUCT_ID" AND "P0"."LAUNCHED_AT" <= "R1"."ORDERED_AT"
  INNER JOIN "ASKED"
    ON "R1"."CUSTOMER_ID" = "ASKED"."KEY" AND "R1"."ORDERED_AT" <= "ASKED"."UNTIL"
), "NUMBERED" AS (
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY "KEY" ORDER BY "T" ASC, "PK0" ASC) AS "SEQ"
  FROM "RAW"
), "CELLS" AS (
  SELECT
    "R"."KEY",
    COUNT(*) AS "N",
    MAX("R"."SEQ") AS "NEWEST",
    MAX("R"."T") AS "T",
    MIN("R"."T") AS "FIRST",
    SUM("R"."V0") AS "S0",
    NULLIF(COUNT("R"."V0"), 0) AS "C0",
    SUM("R"."V1") AS "S1",
    NULLIF(COUNT("R"."V1"), 0) AS "C1"
  FROM "NUMBERED" AS "R"
  INNER JOIN "RFM_BOUNDS_X" AS "B"
    ON "R"."T" > "B"."LO" AND "R"."T" <= "B"."HI"
  GROUP BY
    "R"."KEY",
    "B"."HI"
), "SPANS" AS (
  SELECT
    "KEY",
    "ANCHOR_TIME",
    "AS_OF",
    "ANCHOR_TIME" - INTERVAL '90 DAY' AS "SINCE0"
  FROM "POINTS"
), "STATS" AS (
  SELECT
    "S"."KEY",
    "S"."ANCHOR_TIME",
    "S"."AS_OF",
    SUM(CASE WHEN "C"."T" > "S"."SINCE0" THEN "C"."N" END) AS "N_0",
    SUM("C"."N") AS "N_1",
    SUM(CASE WHEN "C"."T" > "S"."SINCE0" THEN "C"."S0" END) AS "S0_0",
    SUM("C"."S0") AS "S0_1",
    SUM(CASE WHEN "C"."T" > "S"."SINCE0" THEN "C"."C0" END) AS "C0_0",
    SUM("C"."C0") AS "C0_1",
    SUM(CASE WHEN "C"."T" > "S"."SINCE0" THEN "C"."S1" END) AS "S1_0",
    SUM("C"."S1") AS "S1_1",
    SUM(CASE WHEN "C"."T" > "S"."SINCE0" THEN "C"."C1" END) AS "C1_0",
    SUM("C"."C1") AS "C1_1",
    MAX("C"."NEWEST") AS "NEWEST_1",
    MAX("C"."T") AS "T_1",
    MIN("C"."FIRST") AS "FIRST_1"
  FROM "SPANS" AS "S"
  INNER JOIN "CELLS" AS "C"
    ON "C"."KEY" = "S"."KEY" AND "C"."T" <= "S"."AS_OF"
  GROUP BY
    "S"."KEY",
    "S"."ANCHOR_TIME",
    "S"."AS_OF"
)
SELECT
  "K"."EXAMPLE_ID" AS "EXAMPLE_ID",
  CAST(COALESCE("S"."N_0", 0) AS DOUBLE) AS "F0",
  CAST(COALESCE("S"."N_1", 0) AS DOUBLE) AS "F1",
  CAST(DATEDIFF(SECOND, "S"."T_1", "K"."ANCHOR_TIME") AS DOUBLE) / 86400.0 AS "F2",
  CAST(DATEDIFF(SECOND, "S"."FIRST_1", "K"."ANCHOR_TIME") AS DOUBLE) / 86400.0 AS "F3",
  CAST("S"."N_1" AS DOUBLE) / (
    CAST(DATEDIFF(SECOND, "S"."FIRST_1", "K"."ANCHOR_TIME") AS DOUBLE) / 86400.0 + 1.0
  ) AS "F4",
  CAST("S"."S0_0" AS DOUBLE) / "S"."C0_0" AS "F5",
  "S"."S0_0" AS "F6",
  CAST("S"."S0_1" AS DOUBLE) / "S"."C0_1" AS "F7",
  "S"."S0_1" AS "F8",
  CAST("S"."S1_0" AS DOUBLE) / "S"."C1_0" AS "F9",
  CAST("S"."S1_1" AS DOUBLE) / "S"."C1_1" AS "F10",
  "N0"."V0" AS "F11",
  "N0"."V1" AS "F12",
  "N0"."V2" AS "F13"
FROM "KEYED" AS "K"
LEFT JOIN "STATS" AS "S"
  ON "K"."KEY" = "S"."KEY"
  AND "K"."ANCHOR_TIME" = "S"."ANCHOR_TIME"
  AND "K"."AS_OF" = "S"."AS_OF"
LEFT JOIN "NUMBERED" AS "N0"
  ON "N0"."KEY" = "K"."KEY" AND "N0"."SEQ" = "S"."NEWEST_1" AND "N0"."T" <= "K"."AS_OF"
ORDER BY
  "K"."EXAMPLE_ID"
