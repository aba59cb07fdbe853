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
        "anchor_time" + INTERVAL '10 DAY' AS "hi"
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
      WHEN ABS(CAST("r0"."price" AS DOUBLE PRECISION)) < 1e-100
      THEN CAST(0 AS DOUBLE PRECISION)
      WHEN ABS(CAST("r0"."price" AS DOUBLE PRECISION)) <= 1e100
      THEN CAST("r0"."price" AS DOUBLE PRECISION)
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
  INNER JOIN (
    SELECT
      "a".*,
      PG_TEMP.RFM_PLACES(
        WIDTH_BUCKET(
          "a"."lo" + INTERVAL '1 MICROSECOND',
          ARRAY(SELECT DISTINCT
            "moment" + INTERVAL '1 MICROSECOND'
          FROM (
            SELECT
              "a"."lo" AS "moment"
            FROM "bounds" AS "a"
            UNION ALL
            SELECT
              "a"."hi" AS "moment"
            FROM "bounds" AS "a"
          ) AS "ends"
          WHERE
            NOT "moment" IS NULL
          ORDER BY
            1)
        ),
        WIDTH_BUCKET(
          "a"."hi" + INTERVAL '1 MICROSECOND',
          ARRAY(SELECT DISTINCT
            "moment" + INTERVAL '1 MICROSECOND'
          FROM (
            SELECT
              "a"."lo" AS "moment"
            FROM "bounds" AS "a"
            UNION ALL
            SELECT
              "a"."hi" AS "moment"
            FROM "bounds" AS "a"
          ) AS "ends"
          WHERE
            NOT "moment" IS NULL
          ORDER BY
            1)
        ) - 1
      ) AS "place"
    FROM "bounds" AS "a"
  ) AS "a"
    ON "a"."place" = WIDTH_BUCKET(
      "r"."m",
      ARRAY(SELECT DISTINCT
        "moment" + INTERVAL '1 MICROSECOND'
      FROM (
        SELECT
          "a"."lo" AS "moment"
        FROM "bounds" AS "a"
        UNION ALL
        SELECT
          "a"."hi" AS "moment"
        FROM "bounds" AS "a"
      ) AS "ends"
      WHERE
        NOT "moment" IS NULL
      ORDER BY
        1)
    )
  INNER JOIN (
    SELECT
      "k".*,
      PG_TEMP.RFM_PLACES(
        WIDTH_BUCKET(
          "k"."lo" + INTERVAL '1 MICROSECOND',
          ARRAY(SELECT DISTINCT
            "moment" + INTERVAL '1 MICROSECOND'
          FROM (
            SELECT
              "k"."lo" AS "moment"
            FROM "bounds" AS "k"
            UNION ALL
            SELECT
              "k"."hi" AS "moment"
            FROM "bounds" AS "k"
          ) AS "ends"
          WHERE
            NOT "moment" IS NULL
          ORDER BY
            1)
        ),
        WIDTH_BUCKET(
          "k"."hi" + INTERVAL '1 MICROSECOND',
          ARRAY(SELECT DISTINCT
            "moment" + INTERVAL '1 MICROSECOND'
          FROM (
            SELECT
              "k"."lo" AS "moment"
            FROM "bounds" AS "k"
            UNION ALL
            SELECT
              "k"."hi" AS "moment"
            FROM "bounds" AS "k"
          ) AS "ends"
          WHERE
            NOT "moment" IS NULL
          ORDER BY
            1)
        ) - 1
      ) AS "place"
    FROM "bounds" AS "k"
  ) AS "k"
    ON "k"."place" = WIDTH_BUCKET(
      "r"."t",
      ARRAY(SELECT DISTINCT
        "moment" + INTERVAL '1 MICROSECOND'
      FROM (
        SELECT
          "k"."lo" AS "moment"
        FROM "bounds" AS "k"
        UNION ALL
        SELECT
          "k"."hi" AS "moment"
        FROM "bounds" AS "k"
      ) AS "ends"
      WHERE
        NOT "moment" IS NULL
      ORDER BY
        1)
    )
  GROUP BY
    "r"."key",
    "a"."lo",
    "a"."hi",
    "k"."hi"
)
SELECT
  "e"."example_id" AS "example_id",
  CAST(COALESCE(SUM(CASE WHEN "c"."lo" >= "e"."anchor_time" THEN "c"."n" END), 0) AS DOUBLE PRECISION) AS "f0",
  CAST(COALESCE(
    SUM(
      CASE
        WHEN "c"."lo" >= "e"."anchor_time"
        AND "c"."hi" <= "e"."anchor_time" + INTERVAL '10 DAY'
        THEN "c"."n"
      END
    ),
    0
  ) AS DOUBLE PRECISION) AS "f1",
  CAST(CAST(EXTRACT(EPOCH FROM DATE_TRUNC('second', NULLIF(NULLIF(MIN(CASE WHEN "c"."lo" >= "e"."anchor_time" THEN "c"."soonest" END), 'infinity'), '-infinity')) - DATE_TRUNC('second', NULLIF(NULLIF("e"."anchor_time", 'infinity'), '-infinity'))) AS BIGINT) AS DOUBLE PRECISION) / 86400.0 AS "f2",
  CAST(CAST(EXTRACT(EPOCH FROM DATE_TRUNC('second', NULLIF(NULLIF(MAX("c"."latest"), 'infinity'), '-infinity')) - DATE_TRUNC('second', NULLIF(NULLIF("e"."anchor_time", 'infinity'), '-infinity'))) AS BIGINT) AS DOUBLE PRECISION) / 86400.0 AS "f3",
  CAST(COALESCE(
    SUM(
      CASE
        WHEN "c"."lo" >= "e"."anchor_time"
        AND "c"."hi" <= "e"."anchor_time" + INTERVAL '10 DAY'
        THEN "c"."s0"
      END
    ),
    0
  ) AS DOUBLE PRECISION) AS "f4",
  CAST(COALESCE(
    SUM(
      CASE
        WHEN "c"."lo" >= "e"."anchor_time"
        AND "c"."hi" <= "e"."anchor_time" + INTERVAL '10 DAY'
        THEN "c"."s1"
      END
    ),
    0
  ) AS DOUBLE PRECISION) AS "f5"
FROM "rfm_examples_x" AS "e"
LEFT JOIN "cells" AS "c"
  ON "c"."key" = "e"."entity" AND "c"."known" <= "e"."as_of"
GROUP BY
  "e"."example_id",
  "e"."anchor_time"
ORDER BY
  pg_temp.rfm_key("e"."example_id")
