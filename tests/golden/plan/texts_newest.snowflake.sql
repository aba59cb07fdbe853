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
    "R0"."TICKET_ID" AS "PK0",
    "R0"."OPENED_AT" AS "T",
    CAST(LENGTH(CAST("R0"."SUBJECT" AS VARCHAR)) AS DOUBLE) AS "V0",
    LEFT(CAST("R0"."SUBJECT" AS VARCHAR), 400) AS "V1"
  FROM tickets AS "R0"
  INNER JOIN "ASKED"
    ON "R0"."CUSTOMER_ID" = "ASKED"."KEY" AND "R0"."OPENED_AT" <= "ASKED"."UNTIL"
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
    SUM("C"."Q0") AS "Q0_0",
    MAX("C"."NEWEST") AS "NEWEST_0",
    MAX("C"."HI0") AS "HI0_0",
    MAX("C"."T") AS "T_0",
    MIN("C"."LO0") AS "LO0_0",
    MIN("C"."FIRST") AS "FIRST_0"
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
    ), 0) AS "VAR0_0"
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
        AND "R"."SEQ" <= "S"."NEWEST_0"
        AND "R"."SEQ" > "S"."NEWEST_0" - 3
    )
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
  "S"."LO0_0" AS "F6",
  "S"."HI0_0" AS "F7",
  SQRT(CASE WHEN "S"."VAR0_0" < 0 THEN 0.0 ELSE "S"."VAR0_0" END) AS "F8",
  "N0"."V0" AS "F9",
  "N0"."V1" AS "F10",
  "N1"."V0" AS "F11",
  CAST(DATEDIFF(SECOND, "N1"."T", "N0"."T") AS DOUBLE) / 86400.0 AS "F12",
  "N2"."V0" AS "F13",
  CAST(DATEDIFF(SECOND, "N2"."T", "N1"."T") AS DOUBLE) / 86400.0 AS "F14"
FROM "KEYED" AS "K"
LEFT JOIN "SPREADS" AS "S"
  ON "K"."KEY" = "S"."KEY"
  AND "K"."ANCHOR_TIME" = "S"."ANCHOR_TIME"
  AND "K"."AS_OF" = "S"."AS_OF"
LEFT JOIN "RECENT" AS "N0"
  ON "N0"."KEY" = "K"."KEY" AND "N0"."SEQ" = "S"."NEWEST_0" AND "N0"."T" <= "K"."AS_OF"
LEFT JOIN "RECENT" AS "N1"
  ON "N1"."KEY" = "K"."KEY"
  AND "N1"."SEQ" = "S"."NEWEST_0" - 1
  AND "N1"."T" <= "K"."AS_OF"
LEFT JOIN "RECENT" AS "N2"
  ON "N2"."KEY" = "K"."KEY"
  AND "N2"."SEQ" = "S"."NEWEST_0" - 2
  AND "N2"."T" <= "K"."AS_OF"
ORDER BY
  "K"."EXAMPLE_ID"
