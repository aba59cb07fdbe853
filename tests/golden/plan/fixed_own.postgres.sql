SELECT
  "e"."example_id" AS "example_id",
  MAX(
    CASE
      WHEN ABS(CAST("o"."price" AS DOUBLE PRECISION)) < 1e-100
      THEN CAST(0 AS DOUBLE PRECISION)
      WHEN ABS(CAST("o"."price" AS DOUBLE PRECISION)) <= 1e100
      THEN CAST("o"."price" AS DOUBLE PRECISION)
    END
  ) AS "f0",
  MAX(CASE WHEN "o"."lost" THEN 1.0 WHEN NOT (
    "o"."lost"
  ) THEN 0.0 END) AS "f1",
  MAX(
    CAST(CAST(EXTRACT(EPOCH FROM DATE_TRUNC('second', NULLIF(NULLIF(CASE
      WHEN "o"."check_out" BETWEEN CAST('1800-01-01 00:00:00' AS TIMESTAMP) AND CAST('3000-01-01 00:00:00' AS TIMESTAMP)
      THEN "o"."check_out"
    END, 'infinity'), '-infinity')) - DATE_TRUNC('second', NULLIF(NULLIF(CASE
      WHEN "o"."check_in" BETWEEN CAST('1800-01-01 00:00:00' AS TIMESTAMP) AND CAST('3000-01-01 00:00:00' AS TIMESTAMP)
      THEN "o"."check_in"
    END, 'infinity'), '-infinity'))) AS BIGINT) AS DOUBLE PRECISION) / 86400.0
  ) AS "f2",
  MAX(
    CAST(CAST(EXTRACT(EPOCH FROM DATE_TRUNC('second', NULLIF(NULLIF("e"."anchor_time", 'infinity'), '-infinity')) - DATE_TRUNC('second', NULLIF(NULLIF(CASE
      WHEN "o"."check_in" BETWEEN CAST('1800-01-01 00:00:00' AS TIMESTAMP) AND CAST('3000-01-01 00:00:00' AS TIMESTAMP)
      THEN "o"."check_in"
    END, 'infinity'), '-infinity'))) AS BIGINT) AS DOUBLE PRECISION) / 86400.0
  ) AS "f3",
  MAX(
    CAST(CAST(EXTRACT(EPOCH FROM DATE_TRUNC('second', NULLIF(NULLIF("e"."anchor_time", 'infinity'), '-infinity')) - DATE_TRUNC('second', NULLIF(NULLIF(CASE
      WHEN "o"."check_out" BETWEEN CAST('1800-01-01 00:00:00' AS TIMESTAMP) AND CAST('3000-01-01 00:00:00' AS TIMESTAMP)
      THEN "o"."check_out"
    END, 'infinity'), '-infinity'))) AS BIGINT) AS DOUBLE PRECISION) / 86400.0
  ) AS "f4",
  MAX(
    CASE
      WHEN "o"."booked_at" <= "e"."as_of"
      THEN CAST(CAST(EXTRACT(EPOCH FROM DATE_TRUNC('second', NULLIF(NULLIF("e"."anchor_time", 'infinity'), '-infinity')) - DATE_TRUNC('second', NULLIF(NULLIF("o"."booked_at", 'infinity'), '-infinity'))) AS BIGINT) AS DOUBLE PRECISION) / 86400.0
    END
  ) AS "f5",
  CAST(EXTRACT(MONTH FROM MAX(
    CASE
      WHEN "o"."check_in" BETWEEN CAST('1800-01-01 00:00:00' AS TIMESTAMP) AND CAST('3000-01-01 00:00:00' AS TIMESTAMP)
      THEN "o"."check_in"
    END
  )) AS DOUBLE PRECISION) AS "f6",
  CAST(EXTRACT(DAY FROM MAX(
    CASE
      WHEN "o"."check_in" BETWEEN CAST('1800-01-01 00:00:00' AS TIMESTAMP) AND CAST('3000-01-01 00:00:00' AS TIMESTAMP)
      THEN "o"."check_in"
    END
  )) AS DOUBLE PRECISION) AS "f7",
  CAST(EXTRACT(DOW FROM MAX(
    CASE
      WHEN "o"."check_in" BETWEEN CAST('1800-01-01 00:00:00' AS TIMESTAMP) AND CAST('3000-01-01 00:00:00' AS TIMESTAMP)
      THEN "o"."check_in"
    END
  )) AS DOUBLE PRECISION) AS "f8",
  CAST(EXTRACT(HOUR FROM MAX(
    CASE
      WHEN "o"."check_in" BETWEEN CAST('1800-01-01 00:00:00' AS TIMESTAMP) AND CAST('3000-01-01 00:00:00' AS TIMESTAMP)
      THEN "o"."check_in"
    END
  )) AS DOUBLE PRECISION) AS "f9",
  CAST(EXTRACT(MONTH FROM MAX(
    CASE
      WHEN "o"."check_out" BETWEEN CAST('1800-01-01 00:00:00' AS TIMESTAMP) AND CAST('3000-01-01 00:00:00' AS TIMESTAMP)
      THEN "o"."check_out"
    END
  )) AS DOUBLE PRECISION) AS "f10",
  CAST(EXTRACT(DAY FROM MAX(
    CASE
      WHEN "o"."check_out" BETWEEN CAST('1800-01-01 00:00:00' AS TIMESTAMP) AND CAST('3000-01-01 00:00:00' AS TIMESTAMP)
      THEN "o"."check_out"
    END
  )) AS DOUBLE PRECISION) AS "f11",
  CAST(EXTRACT(DOW FROM MAX(
    CASE
      WHEN "o"."check_out" BETWEEN CAST('1800-01-01 00:00:00' AS TIMESTAMP) AND CAST('3000-01-01 00:00:00' AS TIMESTAMP)
      THEN "o"."check_out"
    END
  )) AS DOUBLE PRECISION) AS "f12",
  CAST(EXTRACT(HOUR FROM MAX(
    CASE
      WHEN "o"."check_out" BETWEEN CAST('1800-01-01 00:00:00' AS TIMESTAMP) AND CAST('3000-01-01 00:00:00' AS TIMESTAMP)
      THEN "o"."check_out"
    END
  )) AS DOUBLE PRECISION) AS "f13"
FROM "rfm_examples_x" AS "e"
LEFT JOIN "bookings" AS "o"
  ON "o"."nr" = "e"."entity" AND "o"."booked_at" <= "e"."as_of"
LEFT JOIN "guests" AS "p0"
  ON "p0"."name" = "o"."guest"
GROUP BY
  "e"."example_id"
ORDER BY
  pg_temp.rfm_key("e"."example_id")
