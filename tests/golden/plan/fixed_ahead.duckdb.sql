WITH "bounds" AS (
  SELECT
    COALESCE(LAG("hi") OVER (ORDER BY "hi"), CAST('0001-01-01 00:00:00' AS TIMESTAMP)) AS "lo",
    "hi"
  FROM (
    SELECT DISTINCT
      "hi"
    FROM (
      SELECT
        "as_of" AS "hi"
      FROM "rfm_examples_x"
      UNION ALL
      SELECT
        "anchor_time" AS "hi"
      FROM "rfm_examples_x"
      UNION ALL
      SELECT
        "anchor_time" + INTERVAL '10' DAY AS "hi"
      FROM "rfm_examples_x"
      UNION ALL
      SELECT
        CAST('3000-01-01 00:00:00' AS TIMESTAMP) AS "hi"
    ) AS "m"
  ) AS "m"
), "rows" AS (
  SELECT
    "r0"."guest" AS "key",
    CASE
      WHEN "r0"."check_in" BETWEEN CAST('1800-01-01 00:00:00' AS TIMESTAMP) AND CAST('3000-01-01 00:00:00' AS TIMESTAMP)
      THEN "r0"."check_in"
    END AS "m",
    "r0"."booked_at" AS "t",
    CASE
      WHEN ABS(CAST("r0"."price" AS DOUBLE)) < 1e-100
      THEN CAST(0 AS DOUBLE)
      WHEN ABS(CAST("r0"."price" AS DOUBLE)) <= 1e100
      THEN CAST("r0"."price" AS DOUBLE)
    END AS "v0",
    CASE WHEN "r0"."lost" THEN 1.0 WHEN NOT (
      "r0"."lost"
    ) THEN 0.0 END AS "v1"
  FROM "bookings" AS "r0"
  WHERE
    NOT CASE
      WHEN "r0"."check_in" BETWEEN CAST('1800-01-01 00:00:00' AS TIMESTAMP) AND CAST('3000-01-01 00:00:00' AS TIMESTAMP)
      THEN "r0"."check_in"
    END IS NULL
    AND "r0"."guest" IN (
      SELECT
        "entity"
      FROM "rfm_examples_x"
    )
), "cells" AS (
  SELECT
    "r"."key" AS "key",
    "a"."lo" AS "lo",
    "a"."hi" AS "hi",
    "k"."hi" AS "known",
    COUNT(*) AS "n",
    MIN("r"."m") AS "soonest",
    MAX("r"."m") AS "latest",
    SUM("r"."v0") AS "s0",
    SUM("r"."v1") AS "s1"
  FROM "rows" AS "r"
  INNER JOIN "bounds" AS "a"
    ON "r"."m" > "a"."lo" AND "r"."m" <= "a"."hi"
  INNER JOIN "bounds" AS "k"
    ON "r"."t" > "k"."lo" AND "r"."t" <= "k"."hi"
  GROUP BY
    "r"."key",
    "a"."lo",
    "a"."hi",
    "k"."hi"
)
SELECT
  "e"."example_id" AS "example_id",
  CAST(COALESCE(SUM(CASE WHEN "c"."lo" >= "e"."anchor_time" THEN "c"."n" END), 0) AS DOUBLE) AS "f0",
  CAST(COALESCE(
    SUM(
      CASE
        WHEN "c"."lo" >= "e"."anchor_time"
        AND "c"."hi" <= "e"."anchor_time" + INTERVAL '10' DAY
        THEN "c"."n"
      END
    ),
    0
  ) AS DOUBLE) AS "f1",
  CAST(DATE_DIFF(
    'SECOND',
    "e"."anchor_time",
    MIN(CASE WHEN "c"."lo" >= "e"."anchor_time" THEN "c"."soonest" END)
  ) AS DOUBLE) / 86400.0 AS "f2",
  CAST(DATE_DIFF('SECOND', "e"."anchor_time", MAX("c"."latest")) AS DOUBLE) / 86400.0 AS "f3",
  CAST(COALESCE(
    SUM(
      CASE
        WHEN "c"."lo" >= "e"."anchor_time"
        AND "c"."hi" <= "e"."anchor_time" + INTERVAL '10' DAY
        THEN "c"."s0"
      END
    ),
    0
  ) AS DOUBLE) AS "f4",
  CAST(COALESCE(
    SUM(
      CASE
        WHEN "c"."lo" >= "e"."anchor_time"
        AND "c"."hi" <= "e"."anchor_time" + INTERVAL '10' DAY
        THEN "c"."s1"
      END
    ),
    0
  ) AS DOUBLE) AS "f5"
FROM "rfm_examples_x" AS "e"
LEFT JOIN "cells" AS "c"
  ON "c"."key" = "e"."entity" AND "c"."known" <= "e"."as_of"
GROUP BY
  "e"."example_id",
  "e"."anchor_time"
ORDER BY
  "e"."example_id"
