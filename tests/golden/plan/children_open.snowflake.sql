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
    "R0"."CUSTOMER_ID" AS "KEY",
    "R0"."ORDER_ID" AS "PK0",
    "R0"."ORDERED_AT" AS "T",
    "R0"."PAID_AT" AS "UNTIL0",
    CASE
      WHEN ABS(CAST("R0"."AMOUNT" AS DOUBLE)) < 1e-100
      THEN CAST(0 AS DOUBLE)
      WHEN ABS(CAST("R0"."AMOUNT" AS DOUBLE)) <= 1e100
      THEN CAST("R0"."AMOUNT" AS DOUBLE)
    END AS "V0",
    CAST("R0"."STATUS" AS VARCHAR) AS "V1"
  FROM "orders" AS "R0"
  INNER JOIN "ASKED"
    ON "R0"."CUSTOMER_ID" = "ASKED"."KEY" AND "R0"."ORDERED_AT" <= "ASKED"."UNTIL"
), "NUMBERED" AS (
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY "KEY" ORDER BY "T" ASC, "PK0" ASC) AS "SEQ"
  FROM "RAW"
), "CELLS" AS (
  SELECT
    "KEY",
    1 AS "N",
    "SEQ" AS "NEWEST",
    "T",
    "T" AS "FIRST",
    "UNTIL0",
    "V0" AS "S0",
    CASE WHEN NOT "V0" IS NULL THEN 1 END AS "C0"
  FROM "NUMBERED"
  INNER JOIN "RFM_BOUNDS_X" AS "B"
    ON "T" > "B"."LO"
    AND "T" <= "B"."HI"
    AND (
      "UNTIL0" IS NULL OR "UNTIL0" > "B"."HI"
    )
), "SPANS" AS (
  SELECT
    "KEY",
    "ANCHOR_TIME",
    "AS_OF"
  FROM "POINTS"
), "STATS" AS (
  SELECT
    "S"."KEY",
    "S"."ANCHOR_TIME",
    "S"."AS_OF",
    SUM("C"."N") AS "N_0",
    SUM("C"."S0") AS "S0_0",
    SUM("C"."C0") AS "C0_0",
    MAX("C"."NEWEST") AS "NEWEST_0",
    MAX("C"."T") AS "T_0",
    MIN("C"."FIRST") AS "FIRST_0"
  FROM "SPANS" AS "S"
  INNER JOIN "CELLS" AS "C"
    ON "C"."KEY" = "S"."KEY"
    AND "C"."T" <= "S"."AS_OF"
    AND (
      "C"."UNTIL0" IS NULL OR "C"."UNTIL0" > "S"."AS_OF"
    )
  GROUP BY
    "S"."KEY",
    "S"."ANCHOR_TIME",
    "S"."AS_OF"
)
SELECT
  "K"."EXAMPLE_ID" AS "EXAMPLE_ID",
  CAST(COALESCE("S"."N_0", 0) AS DOUBLE) AS "F0",
  CAST(DATEDIFF(SECOND, "S"."T_0", "K"."ANCHOR_TIME") AS DOUBLE) / 86400.0 AS "F1",
  CAST(DATEDIFF(SECOND, "S"."FIRST_0", "K"."ANCHOR_TIME") AS DOUBLE) / 86400.0 AS "F2",
  CAST("S"."N_0" AS DOUBLE) / (
    CAST(DATEDIFF(SECOND, "S"."FIRST_0", "K"."ANCHOR_TIME") AS DOUBLE) / 86400.0 + 1.0
  ) AS "F3",
  CAST("S"."S0_0" AS DOUBLE) / "S"."C0_0" AS "F4",
  "S"."S0_0" AS "F5",
  "N0"."V0" AS "F6",
  "N0"."V1" AS "F7"
FROM "KEYED" AS "K"
LEFT JOIN "STATS" AS "S"
  ON "K"."KEY" = "S"."KEY"
  AND "K"."ANCHOR_TIME" = "S"."ANCHOR_TIME"
  AND "K"."AS_OF" = "S"."AS_OF"
LEFT JOIN "NUMBERED" AS "N0"
  ON "N0"."KEY" = "K"."KEY"
  AND "N0"."SEQ" = "S"."NEWEST_0"
  AND "N0"."T" <= "K"."AS_OF"
  AND (
    "N0"."UNTIL0" IS NULL OR "N0"."UNTIL0" > "K"."AS_OF"
  )
ORDER BY
  "K"."EXAMPLE_ID"
