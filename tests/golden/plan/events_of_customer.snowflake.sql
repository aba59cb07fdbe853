WITH "KEYED" AS (
  SELECT
    "O"."EXAMPLE_ID",
    "O"."K0" AS "G0",
    "O"."AS_OF" AS "UNTIL",
    LEAST("O"."ANCHOR_TIME" - INTERVAL '1 DAY', "O"."AS_OF") AS "B0",
    LEAST("O"."ANCHOR_TIME" - INTERVAL '7 DAY', "O"."AS_OF") AS "B1",
    LEAST("O"."ANCHOR_TIME" - INTERVAL '30 DAY', "O"."AS_OF") AS "B2"
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
    UNION ALL
    SELECT
      "G0",
      "B1" AS "T",
      2 AS "PLACE"
    FROM "KEYED"
    WHERE
      NOT "G0" IS NULL
    UNION ALL
    SELECT
      "G0",
      "B2" AS "T",
      2 AS "PLACE"
    FROM "KEYED"
    WHERE
      NOT "G0" IS NULL
  ) AS "M"
), "NUMBERED" AS (
  SELECT
    "R0"."CUSTOMER_ID" AS "G0",
    "R0"."ORDERED_AT" AS "T",
    ROW_NUMBER() OVER (
      PARTITION BY "R0"."CUSTOMER_ID"
      ORDER BY "R0"."ORDERED_AT" ASC, "R0"."ORDER_ID" ASC
    ) AS "SEQ"
  FROM "orders" AS "R0"
  WHERE
    "R0"."CUSTOMER_ID" IN (
      SELECT
        "G0"
      FROM "KEYED"
    )
    AND "R0"."ORDERED_AT" <= (
      SELECT
        MAX("UNTIL")
      FROM "KEYED"
    )
), "STREAM" AS (
  SELECT
    "G0",
    "T",
    1 AS "PLACE",
    "SEQ",
    "T" AS "HAPPENED"
  FROM "NUMBERED"
  UNION ALL
  SELECT
    "G0",
    "T",
    "PLACE",
    CAST(NULL AS BIGINT) AS "SEQ",
    CAST(NULL AS TIMESTAMP_NTZ) AS "HAPPENED"
  FROM "MOMENTS"
), "RUNNING" AS (
  SELECT
    "G0",
    "T",
    "PLACE",
    MAX("SEQ") OVER (
      PARTITION BY "G0"
      ORDER BY "T", "PLACE", "SEQ"
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS "N",
    MAX("HAPPENED") OVER (
      PARTITION BY "G0"
      ORDER BY "T", "PLACE", "SEQ"
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS "HAPPENED"
  FROM "STREAM"
)
SELECT
  "K"."EXAMPLE_ID" AS "EXAMPLE_ID",
  CAST((
    COALESCE("E"."N", 0) - COALESCE("B0"."N", 0)
  ) AS DOUBLE) AS "F0",
  CAST((
    COALESCE("E"."N", 0) - COALESCE("B1"."N", 0)
  ) AS DOUBLE) AS "F1",
  CAST((
    COALESCE("E"."N", 0) - COALESCE("B2"."N", 0)
  ) AS DOUBLE) AS "F2",
  CAST(COALESCE("E"."N", 0) AS DOUBLE) AS "F3",
  CAST(DATEDIFF(SECOND, "E"."HAPPENED", "K"."UNTIL") AS DOUBLE) / 86400.0 AS "F4"
FROM "KEYED" AS "K"
LEFT JOIN "RUNNING" AS "E"
  ON "E"."G0" = "K"."G0" AND "E"."T" = "K"."UNTIL" AND "E"."PLACE" = 0
LEFT JOIN "RUNNING" AS "B0"
  ON "B0"."G0" = "K"."G0" AND "B0"."T" = "K"."B0" AND "B0"."PLACE" = 2
LEFT JOIN "RUNNING" AS "B1"
  ON "B1"."G0" = "K"."G0" AND "B1"."T" = "K"."B1" AND "B1"."PLACE" = 2
LEFT JOIN "RUNNING" AS "B2"
  ON "B2"."G0" = "K"."G0" AND "B2"."T" = "K"."B2" AND "B2"."PLACE" = 2
ORDER BY
  "K"."EXAMPLE_ID"
