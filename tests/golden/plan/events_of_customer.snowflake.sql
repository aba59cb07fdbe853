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
), "ASKED" AS (
  SELECT
    "G0",
    MAX("UNTIL") AS "LATEST"
  FROM "KEYED"
  GROUP BY
    "G0"
), "STREAM" AS (
  SELECT
    "R0"."CUSTOMER_ID" AS "G0",
    "R0"."ORDERED_AT" AS "T",
    1 AS "PLACE",
    "R0"."ORDER_ID" AS "P0",
    CASE WHEN CAST("R0"."STATUS" AS VARCHAR) = 'a' THEN 1 END AS "V0",
    CASE WHEN CAST("R0"."STATUS" AS VARCHAR) = 'b' THEN 1 END AS "V1",
    CASE WHEN CAST("R0"."STATUS" AS VARCHAR) = 'o\'c' THEN 1 END AS "V2",
    "R0"."REGION_ID" AS "V3",
    "R0"."STATUS" AS "V4"
  FROM "orders" AS "R0"
  INNER JOIN "ASKED" AS "A"
    ON "R0"."CUSTOMER_ID" = "A"."G0" AND "R0"."ORDERED_AT" <= "A"."LATEST"
  UNION ALL
  SELECT
    "G0",
    "T",
    "PLACE",
    NULL AS "P0",
    NULL AS "V0",
    NULL AS "V1",
    NULL AS "V2",
    NULL AS "V3",
    NULL AS "V4"
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
    MAX(CASE WHEN "S"."PLACE" = 1 THEN "S"."T" END) AS "HAPPENED",
    SUM("S"."V0") AS "S0",
    SUM("S"."V1") AS "S1",
    SUM("S"."V2") AS "S2"
  FROM "PLACED" AS "S"
  GROUP BY
    "S"."G0",
    "S"."PIECE"
), "FIRSTS3" AS (
  SELECT
    "F"."G0",
    "F"."PIECE",
    COUNT(*) AS "S3"
  FROM (
    SELECT
      "S"."G0",
      MIN("S"."PIECE") AS "PIECE"
    FROM "PLACED" AS "S"
    WHERE
      NOT "S"."V3" IS NULL
    GROUP BY
      "S"."G0",
      "S"."V3"
  ) AS "F"
  GROUP BY
    "F"."G0",
    "F"."PIECE"
), "FIRSTS4" AS (
  SELECT
    "F"."G0",
    "F"."PIECE",
    COUNT(*) AS "S4"
  FROM (
    SELECT
      "S"."G0",
      MIN("S"."PIECE") AS "PIECE"
    FROM "PLACED" AS "S"
    WHERE
      NOT "S"."V4" IS NULL
    GROUP BY
      "S"."G0",
      "S"."V4"
  ) AS "F"
  GROUP BY
    "F"."G0",
    "F"."PIECE"
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
    ) AS "HAPPENED",
    SUM("P"."S0") OVER (
      PARTITION BY "P"."G0"
      ORDER BY "P"."PIECE"
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS "S0",
    SUM("P"."S1") OVER (
      PARTITION BY "P"."G0"
      ORDER BY "P"."PIECE"
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS "S1",
    SUM("P"."S2") OVER (
      PARTITION BY "P"."G0"
      ORDER BY "P"."PIECE"
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS "S2",
    SUM("F3"."S3") OVER (
      PARTITION BY "P"."G0"
      ORDER BY "P"."PIECE"
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS "S3",
    SUM("F4"."S4") OVER (
      PARTITION BY "P"."G0"
      ORDER BY "P"."PIECE"
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS "S4"
  FROM "PIECES" AS "P"
  LEFT JOIN "FIRSTS3" AS "F3"
    ON "F3"."G0" = "P"."G0" AND "F3"."PIECE" = "P"."PIECE"
  LEFT JOIN "FIRSTS4" AS "F4"
    ON "F4"."G0" = "P"."G0" AND "F4"."PIECE" = "P"."PIECE"
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
  CAST(DATEDIFF(SECOND, "E"."HAPPENED", "K"."UNTIL") AS DOUBLE) / 86400.0 AS "F4",
  CAST((
    COALESCE("E"."S0", 0) - COALESCE("B0"."S0", 0)
  ) AS DOUBLE) AS "F5",
  CAST((
    COALESCE("E"."S0", 0) - COALESCE("B1"."S0", 0)
  ) AS DOUBLE) AS "F6",
  CAST(COALESCE("E"."S0", 0) AS DOUBLE) AS "F7",
  CAST((
    COALESCE("E"."S1", 0) - COALESCE("B0"."S1", 0)
  ) AS DOUBLE) AS "F8",
  CAST((
    COALESCE("E"."S1", 0) - COALESCE("B1"."S1", 0)
  ) AS DOUBLE) AS "F9",
  CAST(COALESCE("E"."S1", 0) AS DOUBLE) AS "F10",
  CAST((
    COALESCE("E"."S2", 0) - COALESCE("B0"."S2", 0)
  ) AS DOUBLE) AS "F11",
  CAST((
    COALESCE("E"."S2", 0) - COALESCE("B1"."S2", 0)
  ) AS DOUBLE) AS "F12",
  CAST(COALESCE("E"."S2", 0) AS DOUBLE) AS "F13",
  CAST((
    COALESCE("E"."S3", 0) - COALESCE("B0"."S3", 0)
  ) AS DOUBLE) AS "F14",
  CAST((
    COALESCE("E"."S3", 0) - COALESCE("B1"."S3", 0)
  ) AS DOUBLE) AS "F15",
  CAST(COALESCE("E"."S3", 0) AS DOUBLE) AS "F16",
  CAST((
    COALESCE("E"."S4", 0) - COALESCE("B0"."S4", 0)
  ) AS DOUBLE) AS "F17",
  CAST((
    COALESCE("E"."S4", 0) - COALESCE("B1"."S4", 0)
  ) AS DOUBLE) AS "F18",
  CAST(COALESCE("E"."S4", 0) AS DOUBLE) AS "F19"
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
