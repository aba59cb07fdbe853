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
    GREATEST("R0"."PAID_AT", "R0"."ORDERED_AT") AS "T",
    CAST(DATEDIFF(SECOND, "R0"."ORDERED_AT", "R0"."PAID_AT") AS DOUBLE) / 86400.0 AS "V0"
  FROM "orders" AS "R0"
  INNER JOIN "ASKED"
    ON "R0"."CUSTOMER_ID" = "ASKED"."KEY"
    AND GREATEST("R0"."PAID_AT", "R0"."ORDERED_AT") <= "ASKED"."UNTIL"
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
    SUM("R"."V0" * "R"."V0") AS "Q0",
    MIN("R"."V0") AS "LO0",
    MAX("R"."V0") AS "HI0"
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
    "ANCHOR_TIME" - INTERVAL '30 DAY' AS "SINCE0",
    "ANCHOR_TIME" - INTERVAL '90 DAY' AS "SINCE1",
    "ANCHOR_TIME" - INTERVAL '365 DAY' AS "SINCE2"
  FROM "POINTS"
), "STATS" AS (
  SELECT
    "S"."KEY",
    "S"."ANCHOR_TIME",
    "S"."AS_OF",
    SUM(CASE WHEN "C"."T" > "S"."SINCE0" THEN "C"."N" END) AS "N_0",
    SUM(CASE WHEN "C"."T" > "S"."SINCE1" THEN "C"."N" END) AS "N_1",
    SUM(CASE WHEN "C"."T" > "S"."SINCE2" THEN "C"."N" END) AS "N_2",
    SUM("C"."N") AS "N_3",
    SUM(CASE WHEN "C"."T" > "S"."SINCE0" THEN "C"."S0" END) AS "S0_0",
    SUM(CASE WHEN "C"."T" > "S"."SINCE1" THEN "C"."S0" END) AS "S0_1",
    SUM(CASE WHEN "C"."T" > "S"."SINCE2" THEN "C"."S0" END) AS "S0_2",
    SUM("C"."S0") AS "S0_3",
    SUM(CASE WHEN "C"."T" > "S"."SINCE0" THEN "C"."C0" END) AS "C0_0",
    SUM(CASE WHEN "C"."T" > "S"."SINCE1" THEN "C"."C0" END) AS "C0_1",
    SUM(CASE WHEN "C"."T" > "S"."SINCE2" THEN "C"."C0" END) AS "C0_2",
    SUM("C"."C0") AS "C0_3",
    SUM(CASE WHEN "C"."T" > "S"."SINCE0" THEN "C"."Q0" END) AS "Q0_0",
    SUM(CASE WHEN "C"."T" > "S"."SINCE1" THEN "C"."Q0" END) AS "Q0_1",
    SUM("C"."Q0") AS "Q0_3",
    MAX("C"."NEWEST") AS "NEWEST_3",
    MAX(CASE WHEN "C"."T" > "S"."SINCE1" THEN "C"."HI0" END) AS "HI0_1",
    MAX("C"."HI0") AS "HI0_3",
    MAX("C"."T") AS "T_3",
    MIN(CASE WHEN "C"."T" > "S"."SINCE1" THEN "C"."LO0" END) AS "LO0_1",
    MIN("C"."LO0") AS "LO0_3",
    MIN("C"."FIRST") AS "FIRST_3"
  FROM "SPANS" AS "S"
  INNER JOIN "CELLS" AS "C"
    ON "C"."KEY" = "S"."KEY" AND "C"."T" <= "S"."AS_OF"
  GROUP BY
    "S"."KEY",
    "S"."ANCHOR_TIME",
    "S"."AS_OF"
), "SPREADS" AS (
  SELECT
    *,
    CAST((
      "Q0_0" - CAST((
        "S0_0" * "S0_0"
      ) AS DOUBLE) / "C0_0"
    ) AS DOUBLE) / NULLIF((
      "C0_0" - 1
    ), 0) AS "VAR0_0",
    CAST((
      "Q0_1" - CAST((
        "S0_1" * "S0_1"
      ) AS DOUBLE) / "C0_1"
    ) AS DOUBLE) / NULLIF((
      "C0_1" - 1
    ), 0) AS "VAR0_1",
    CAST((
      "Q0_3" - CAST((
        "S0_3" * "S0_3"
      ) AS DOUBLE) / "C0_3"
    ) AS DOUBLE) / NULLIF((
      "C0_3" - 1
    ), 0) AS "VAR0_3",
    SQRT(
      CASE
        WHEN (
          CAST((
            "Q0_3" - CAST((
              "S0_3" * "S0_3"
            ) AS DOUBLE) / "C0_3"
          ) AS DOUBLE) / NULLIF((
            "C0_3" - 1
          ), 0)
        ) * "C0_3" > 1e-12 * "Q0_3"
        THEN CAST((
          "Q0_3" - CAST((
            "S0_3" * "S0_3"
          ) AS DOUBLE) / "C0_3"
        ) AS DOUBLE) / NULLIF((
          "C0_3" - 1
        ), 0)
      END
    ) AS "UNIT0"
  FROM "STATS"
)
SELECT
  "K"."EXAMPLE_ID" AS "EXAMPLE_ID",
  CAST(COALESCE("S"."N_0", 0) AS DOUBLE) AS "F0",
  CAST(COALESCE("S"."N_1", 0) AS DOUBLE) AS "F1",
  CAST(COALESCE("S"."N_2", 0) AS DOUBLE) AS "F2",
  CAST(COALESCE("S"."N_3", 0) AS DOUBLE) AS "F3",
  CAST(DATEDIFF(SECOND, "S"."T_3", "K"."ANCHOR_TIME") AS DOUBLE) / 86400.0 AS "F4",
  CAST(DATEDIFF(SECOND, "S"."FIRST_3", "K"."ANCHOR_TIME") AS DOUBLE) / 86400.0 AS "F5",
  CAST("S"."N_3" AS DOUBLE) / (
    CAST(DATEDIFF(SECOND, "S"."FIRST_3", "K"."ANCHOR_TIME") AS DOUBLE) / 86400.0 + 1.0
  ) AS "F6",
  CAST("S"."S0_0" AS DOUBLE) / "S"."C0_0" AS "F7",
  "S"."S0_0" AS "F8",
  CAST("S"."S0_1" AS DOUBLE) / "S"."C0_1" AS "F9",
  "S"."S0_1" AS "F10",
  "S"."LO0_1" AS "F11",
  "S"."HI0_1" AS "F12",
  SQRT(CASE WHEN "S"."VAR0_1" < 0 THEN 0.0 ELSE "S"."VAR0_1" END) AS "F13",
  CAST("S"."S0_2" AS DOUBLE) / "S"."C0_2" AS "F14",
  "S"."S0_2" AS "F15",
  CAST("S"."S0_3" AS DOUBLE) / "S"."C0_3" AS "F16",
  "S"."S0_3" AS "F17",
  "S"."LO0_3" AS "F18",
  "S"."HI0_3" AS "F19",
  SQRT(CASE WHEN "S"."VAR0_3" < 0 THEN 0.0 ELSE "S"."VAR0_3" END) AS "F20",
  CAST((
    (
      CAST("S"."S0_0" AS DOUBLE) / "S"."C0_0"
    ) - (
      CAST("S"."S0_3" AS DOUBLE) / "S"."C0_3"
    )
  ) AS DOUBLE) / "S"."UNIT0" AS "F21",
  CAST((
    (
      CAST("S"."S0_1" AS DOUBLE) / "S"."C0_1"
    ) - (
      CAST("S"."S0_3" AS DOUBLE) / "S"."C0_3"
    )
  ) AS DOUBLE) / "S"."UNIT0" AS "F22",
  CAST((
    "N0"."V0" - (
      CAST("S"."S0_3" AS DOUBLE) / "S"."C0_3"
    )
  ) AS DOUBLE) / "S"."UNIT0" AS "F23",
  CAST(SQRT(CASE WHEN "S"."VAR0_0" < 0 THEN 0.0 ELSE "S"."VAR0_0" END) AS DOUBLE) / "S"."UNIT0" AS "F24",
  "N0"."V0" AS "F25"
FROM "KEYED" AS "K"
LEFT JOIN "SPREADS" AS "S"
  ON "K"."KEY" = "S"."KEY"
  AND "K"."ANCHOR_TIME" = "S"."ANCHOR_TIME"
  AND "K"."AS_OF" = "S"."AS_OF"
LEFT JOIN "NUMBERED" AS "N0"
  ON "N0"."KEY" = "K"."KEY" AND "N0"."SEQ" = "S"."NEWEST_3" AND "N0"."T" <= "K"."AS_OF"
ORDER BY
  "K"."EXAMPLE_ID"
