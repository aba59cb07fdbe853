WITH "BOUNDS" AS (
  SELECT
    COALESCE(LAG("HI") OVER (ORDER BY "HI"), CAST('0001-01-01 00:00:00' AS TIMESTAMP_NTZ)) AS "LO",
    "HI"
  FROM (
    SELECT DISTINCT
      "HI"
    FROM (
      SELECT
        "AS_OF" AS "HI"
      FROM "RFM_EXAMPLES_X"
      UNION ALL
      SELECT
        "ANCHOR_TIME" AS "HI"
      FROM "RFM_EXAMPLES_X"
      UNION ALL
      SELECT
        "ANCHOR_TIME" + INTERVAL '10 DAY' AS "HI"
      FROM "RFM_EXAMPLES_X"
      UNION ALL
      SELECT
        CAST('3000-01-01 00:00:00' AS TIMESTAMP_NTZ) AS "HI"
    ) AS "M"
  ) AS "M"
), "ROWS" AS (
  SELECT
    "R0"."GUEST" AS "KEY",
    CASE
      WHEN "R0"."CHECK_IN" BETWEEN CAST('1800-01-01 00:00:00' AS TIMESTAMP_NTZ) AND CAST('3000-01-01 00:00:00' AS TIMESTAMP_NTZ)
      THEN "R0"."CHECK_IN"
    END AS "M",
    "R0"."BOOKED_AT" AS "T",
    CASE
      WHEN ABS(CAST("R0"."PRICE" AS DOUBLE)) < 1e-100
      THEN CAST(0 AS DOUBLE)
      WHEN ABS(CAST("R0"."PRICE" AS DOUBLE)) <= 1e100
      THEN CAST("R0"."PRICE" AS DOUBLE)
    END AS "V0",
    CASE WHEN "R0"."LOST" THEN 1.0 WHEN NOT (
      "R0"."LOST"
    ) THEN 0.0 END AS "V1"
  FROM "bookings" AS "R0"
  WHERE
    NOT CASE
      WHEN "R0"."CHECK_IN" BETWEEN CAST('1800-01-01 00:00:00' AS TIMESTAMP_NTZ) AND CAST('3000-01-01 00:00:00' AS TIMESTAMP_NTZ)
      THEN "R0"."CHECK_IN"
    END IS NULL
    AND "R0"."GUEST" IN (
      SELECT
        "ENTITY"
      FROM "RFM_EXAMPLES_X"
    )
), "CELLS" AS (
  SELECT
    "R"."KEY" AS "KEY",
    "A"."LO" AS "LO",
    "A"."HI" AS "HI",
    "K"."HI" AS "KNOWN",
    COUNT(*) AS "N",
    MIN("R"."M") AS "SOONEST",
    MAX("R"."M") AS "LATEST",
    SUM("R"."V0") AS "S0",
    SUM("R"."V1") AS "S1"
  FROM "ROWS" AS "R"
  INNER JOIN "BOUNDS" AS "A"
    ON "R"."M" > "A"."LO" AND "R"."M" <= "A"."HI"
  INNER JOIN "BOUNDS" AS "K"
    ON "R"."T" > "K"."LO" AND "R"."T" <= "K"."HI"
  GROUP BY
    "R"."KEY",
    "A"."LO",
    "A"."HI",
    "K"."HI"
)
SELECT
  "E"."EXAMPLE_ID" AS "EXAMPLE_ID",
  CAST(COALESCE(SUM(CASE WHEN "C"."LO" >= "E"."ANCHOR_TIME" THEN "C"."N" END), 0) AS DOUBLE) AS "F0",
  CAST(COALESCE(
    SUM(
      CASE
        WHEN "C"."LO" >= "E"."ANCHOR_TIME"
        AND "C"."HI" <= "E"."ANCHOR_TIME" + INTERVAL '10 DAY'
        THEN "C"."N"
      END
    ),
    0
  ) AS DOUBLE) AS "F1",
  CAST(DATEDIFF(
    SECOND,
    "E"."ANCHOR_TIME",
    MIN(CASE WHEN "C"."LO" >= "E"."ANCHOR_TIME" THEN "C"."SOONEST" END)
  ) AS DOUBLE) / 86400.0 AS "F2",
  CAST(DATEDIFF(SECOND, "E"."ANCHOR_TIME", MAX("C"."LATEST")) AS DOUBLE) / 86400.0 AS "F3",
  CAST(COALESCE(
    SUM(
      CASE
        WHEN "C"."LO" >= "E"."ANCHOR_TIME"
        AND "C"."HI" <= "E"."ANCHOR_TIME" + INTERVAL '10 DAY'
        THEN "C"."S0"
      END
    ),
    0
  ) AS DOUBLE) AS "F4",
  CAST(COALESCE(
    SUM(
      CASE
        WHEN "C"."LO" >= "E"."ANCHOR_TIME"
        AND "C"."HI" <= "E"."ANCHOR_TIME" + INTERVAL '10 DAY'
        THEN "C"."S1"
      END
    ),
    0
  ) AS DOUBLE) AS "F5"
FROM "RFM_EXAMPLES_X" AS "E"
LEFT JOIN "CELLS" AS "C"
  ON "C"."KEY" = "E"."ENTITY" AND "C"."KNOWN" <= "E"."AS_OF"
GROUP BY
  "E"."EXAMPLE_ID",
  "E"."ANCHOR_TIME"
ORDER BY
  "E"."EXAMPLE_ID"
