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
    CASE
      WHEN ABS(CAST("R0"."AMOUNT" AS DOUBLE)) < 1e-100
      THEN CAST(0 AS DOUBLE)
      WHEN ABS(CAST("R0"."AMOUNT" AS DOUBLE)) <= 1e100
      THEN CAST("R0"."AMOUNT" AS DOUBLE)
    END AS "V0",
    CAST("R0"."STATUS" AS VARCHAR) AS "V1",
    CASE WHEN CAST("R0"."STATUS" AS VARCHAR) = 'a' THEN 1 END AS "V2",
    CASE WHEN CAST("R0"."STATUS" AS VARCHAR) = 'b' THEN 1 END AS "V3",
    CASE WHEN CAST("R0"."STATUS" AS VARCHAR) = 'o\'c' THEN 1 END AS "V4",
    CASE
      WHEN ABS(CAST("P0"."AREA" AS DOUBLE)) < 1e-100
      THEN CAST(0 AS DOUBLE)
      WHEN ABS(CAST("P0"."AREA" AS DOUBLE)) <= 1e100
      THEN CAST("P0"."AREA" AS DOUBLE)
    END AS "V5",
    CAST("P0"."KIND" AS VARCHAR) AS "V6",
    CASE WHEN CAST("P0"."KIND" AS VARCHAR) = 'a' THEN 1 END AS "V7",
    CASE WHEN CAST("P0"."KIND" AS VARCHAR) = 'b' THEN 1 END AS "V8",
    CASE WHEN CAST("P0"."KIND" AS VARCHAR) = 'o\'c' THEN 1 END AS "V9"
  FROM "orders" AS "R0"
  LEFT JOIN "regions" AS "P0"
    ON "P0"."REGION_ID" = "R0"."REGION_ID"
  INNER JOIN "ASKED"
    ON "R0"."CUSTOMER_ID" = "ASKED"."KEY" AND "R0"."ORDERED_AT" <= "ASKED"."UNTIL"
), "NUMBERED" AS (
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY "KEY" ORDER BY "T" ASC, "PK0" ASC) AS "SEQ",
    CASE
      WHEN NOT "V1" IS NULL
      THEN ROW_NUMBER() OVER (PARTITION BY "KEY", "V1" ORDER BY "T" ASC, "PK0" ASC)
    END AS "R1"
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
    MAX("R"."V0") AS "HI0",
    SUM("R"."V5") AS "S5",
    NULLIF(COUNT("R"."V5"), 0) AS "C5",
    SUM("R"."V2") AS "S2",
    SUM("R"."V3") AS "S3",
    SUM("R"."V4") AS "S4",
    SUM("R"."V7") AS "S7",
    SUM("R"."V8") AS "S8",
    SUM("R"."V9") AS "S9",
    SUM(CASE WHEN "R1" = 1 THEN 1 END) AS "D1",
    MAX(CAST("R1" AS BIGINT) * 2147483648 + "SEQ") AS "M1"
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
    SUM(CASE WHEN "C"."T" > "S"."SINCE1" THEN "C"."S5" END) AS "S5_1",
    SUM("C"."S5") AS "S5_3",
    SUM(CASE WHEN "C"."T" > "S"."SINCE1" THEN "C"."C5" END) AS "C5_1",
    SUM("C"."C5") AS "C5_3",
    SUM(CASE WHEN "C"."T" > "S"."SINCE0" THEN "C"."S2" END) AS "S2_0",
    SUM(CASE WHEN "C"."T" > "S"."SINCE1" THEN "C"."S2" END) AS "S2_1",
    SUM(CASE WHEN "C"."T" > "S"."SINCE2" THEN "C"."S2" END) AS "S2_2",
    SUM("C"."S2") AS "S2_3",
    SUM(CASE WHEN "C"."T" > "S"."SINCE0" THEN "C"."S3" END) AS "S3_0",
    SUM(CASE WHEN "C"."T" > "S"."SINCE1" THEN "C"."S3" END) AS "S3_1",
    SUM(CASE WHEN "C"."T" > "S"."SINCE2" THEN "C"."S3" END) AS "S3_2",
    SUM("C"."S3") AS "S3_3",
    SUM(CASE WHEN "C"."T" > "S"."SINCE0" THEN "C"."S4" END) AS "S4_0",
    SUM(CASE WHEN "C"."T" > "S"."SINCE1" THEN "C"."S4" END) AS "S4_1",
    SUM(CASE WHEN "C"."T" > "S"."SINCE2" THEN "C"."S4" END) AS "S4_2",
    SUM("C"."S4") AS "S4_3",
    SUM("C"."S7") AS "S7_3",
    SUM("C"."S8") AS "S8_3",
    SUM("C"."S9") AS "S9_3",
    SUM("C"."D1") AS "D1_3",
    MAX("C"."NEWEST") AS "NEWEST_3",
    MAX(CASE WHEN "C"."T" > "S"."SINCE1" THEN "C"."HI0" END) AS "HI0_1",
    MAX("C"."HI0") AS "HI0_3",
    MAX("C"."M1") AS "M1_3",
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
), "RECENT" AS (
  SELECT
    "R".*
  FROM "NUMBERED" AS "R"
  WHERE
    EXISTS(
      SELECT
        1
      FROM "SPREADS" AS "S"
      WHERE
        "S"."KEY" = "R"."KEY"
        AND "R"."SEQ" <= "S"."NEWEST_3"
        AND "R"."SEQ" > "S"."NEWEST_3" - 3
    )
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
  CAST(COALESCE("S"."S2_0", 0) AS DOUBLE) AS "F7",
  CAST(COALESCE("S"."S2_1", 0) AS DOUBLE) AS "F8",
  CAST(COALESCE("S"."S2_2", 0) AS DOUBLE) AS "F9",
  CAST(COALESCE("S"."S2_3", 0) AS DOUBLE) AS "F10",
  CAST(COALESCE("S"."S3_0", 0) AS DOUBLE) AS "F11",
  CAST(COALESCE("S"."S3_1", 0) AS DOUBLE) AS "F12",
  CAST(COALESCE("S"."S3_2", 0) AS DOUBLE) AS "F13",
  CAST(COALESCE("S"."S3_3", 0) AS DOUBLE) AS "F14",
  CAST(COALESCE("S"."S4_0", 0) AS DOUBLE) AS "F15",
  CAST(COALESCE("S"."S4_1", 0) AS DOUBLE) AS "F16",
  CAST(COALESCE("S"."S4_2", 0) AS DOUBLE) AS "F17",
  CAST(COALESCE("S"."S4_3", 0) AS DOUBLE) AS "F18",
  CAST(COALESCE("S"."S7_3", 0) AS DOUBLE) AS "F19",
  CAST(COALESCE("S"."S8_3", 0) AS DOUBLE) AS "F20",
  CAST(COALESCE("S"."S9_3", 0) AS DOUBLE) AS "F21",
  CAST("S"."S0_0" AS DOUBLE) / "S"."C0_0" AS "F22",
  "S"."S0_0" AS "F23",
  CAST("S"."S0_1" AS DOUBLE) / "S"."C0_1" AS "F24",
  "S"."S0_1" AS "F25",
  "S"."LO0_1" AS "F26",
  "S"."HI0_1" AS "F27",
  SQRT(CASE WHEN "S"."VAR0_1" < 0 THEN 0.0 ELSE "S"."VAR0_1" END) AS "F28",
  CAST("S"."S0_2" AS DOUBLE) / "S"."C0_2" AS "F29",
  "S"."S0_2" AS "F30",
  CAST("S"."S0_3" AS DOUBLE) / "S"."C0_3" AS "F31",
  "S"."S0_3" AS "F32",
  "S"."LO0_3" AS "F33",
  "S"."HI0_3" AS "F34",
  SQRT(CASE WHEN "S"."VAR0_3" < 0 THEN 0.0 ELSE "S"."VAR0_3" END) AS "F35",
  CAST("S"."S5_1" AS DOUBLE) / "S"."C5_1" AS "F36",
  CAST("S"."S5_3" AS DOUBLE) / "S"."C5_3" AS "F37",
  CAST((
    (
      CAST("S"."S0_0" AS DOUBLE) / "S"."C0_0"
    ) - (
      CAST("S"."S0_3" AS DOUBLE) / "S"."C0_3"
    )
  ) AS DOUBLE) / "S"."UNIT0" AS "F38",
  CAST((
    (
      CAST("S"."S0_1" AS DOUBLE) / "S"."C0_1"
    ) - (
      CAST("S"."S0_3" AS DOUBLE) / "S"."C0_3"
    )
  ) AS DOUBLE) / "S"."UNIT0" AS "F39",
  CAST((
    "N0"."V0" - (
      CAST("S"."S0_3" AS DOUBLE) / "S"."C0_3"
    )
  ) AS DOUBLE) / "S"."UNIT0" AS "F40",
  CAST(SQRT(CASE WHEN "S"."VAR0_0" < 0 THEN 0.0 ELSE "S"."VAR0_0" END) AS DOUBLE) / "S"."UNIT0" AS "F41",
  "N0"."V0" AS "F42",
  "N0"."V1" AS "F43",
  "N0"."V5" AS "F44",
  "N0"."V6" AS "F45",
  "N1"."V0" AS "F46",
  CAST(DATEDIFF(SECOND, "N1"."T", "N0"."T") AS DOUBLE) / 86400.0 AS "F47",
  "N2"."V0" AS "F48",
  CAST(DATEDIFF(SECOND, "N2"."T", "N1"."T") AS DOUBLE) / 86400.0 AS "F49",
  CAST("S"."D1_3" AS DOUBLE) AS "F50",
  "M1"."V1" AS "F51"
FROM "KEYED" AS "K"
LEFT JOIN "SPREADS" AS "S"
  ON "K"."KEY" = "S"."KEY"
  AND "K"."ANCHOR_TIME" = "S"."ANCHOR_TIME"
  AND "K"."AS_OF" = "S"."AS_OF"
LEFT JOIN "RECENT" AS "N0"
  ON "N0"."KEY" = "K"."KEY" AND "N0"."SEQ" = "S"."NEWEST_3" AND "N0"."T" <= "K"."AS_OF"
LEFT JOIN "RECENT" AS "N1"
  ON "N1"."KEY" = "K"."KEY"
  AND "N1"."SEQ" = "S"."NEWEST_3" - 1
  AND "N1"."T" <= "K"."AS_OF"
LEFT JOIN "RECENT" AS "N2"
  ON "N2"."KEY" = "K"."KEY"
  AND "N2"."SEQ" = "S"."NEWEST_3" - 2
  AND "N2"."T" <= "K"."AS_OF"
LEFT JOIN "NUMBERED" AS "M1"
  ON "M1"."KEY" = "K"."KEY" AND "M1"."SEQ" = "S"."M1_3" % 2147483648
ORDER BY
  "K"."EXAMPLE_ID"
