SELECT
  "e"."example_id" AS "example_id",
  MAX(
    CASE
      WHEN ABS(CAST("o"."price" AS DOUBLE)) < 1e-100
      THEN CAST(0 AS DOUBLE)
      WHEN ABS(CAST("o"."price" AS DOUBLE)) <= 1e100
      THEN CAST("o"."price" AS DOUBLE)
    END
  ) AS "f0",
  MAX(CASE WHEN "o"."lost" THEN 1.0 WHEN NOT (
    "o"."lost"
  ) THEN 0.0 END) AS "f1",
  MAX(
    CAST(DATE_DIFF(
      'SECOND',
      CASE
        WHEN "o"."check_in" BETWEEN CAST('1800-01-01 00:00:00' AS TIMESTAMP) AND CAST('3000-01-01 00:00:00' AS TIMESTAMP)
        THEN "o"."check_in"
      END,
      CASE
        WHEN "o"."check_out" BETWEEN CAST('1800-01-01 00:00:00' AS TIMESTAMP) AND CAST('3000-01-01 00:00:00' AS TIMESTAMP)
        THEN "o"."check_out"
      END
    ) AS DOUBLE) / 86400.0
  ) AS "f2",
  MAX(
    CAST(DATE_DIFF(
      'SECOND',
      CASE
        WHEN "o"."check_in" BETWEEN CAST('1800-01-01 00:00:00' AS TIMESTAMP) AND CAST('3000-01-01 00:00:00' AS TIMESTAMP)
        THEN "o"."check_in"
      END,
      "e"."anchor_time"
    ) AS DOUBLE) / 86400.0
  ) AS "f3",
  MAX(
    CAST(DATE_DIFF(
      'SECOND',
      CASE
        WHEN "o"."check_out" BETWEEN CAST('1800-01-01 00:00:00' AS TIMESTAMP) AND CAST('3000-01-01 00:00:00' AS TIMESTAMP)
        THEN "o"."check_out"
      END,
      "e"."anchor_time"
    ) AS DOUBLE) / 86400.0
  ) AS "f4",
  MAX(
    CASE
      WHEN "o"."booked_at" <= "e"."as_of"
      THEN CAST(DATE_DIFF('SECOND', "o"."booked_at", "e"."anchor_time") AS DOUBLE) / 86400.0
    END
  ) AS "f5",
  CAST(EXTRACT(MONTH FROM MAX(
    CASE
      WHEN "o"."check_in" BETWEEN CAST('1800-01-01 00:00:00' AS TIMESTAMP) AND CAST('3000-01-01 00:00:00' AS TIMESTAMP)
      THEN "o"."check_in"
    END
  )) AS DOUBLE) AS "f6",
  CAST(EXTRACT(DAY FROM MAX(
    CASE
      WHEN "o"."check_in" BETWEEN CAST('1800-01-01 00:00:00' AS TIMESTAMP) AND CAST('3000-01-01 00:00:00' AS TIMESTAMP)
      THEN "o"."check_in"
    END
  )) AS DOUBLE) AS "f7",
  CAST(EXTRACT(DAYOFWEEK FROM MAX(
    CASE
      WHEN "o"."check_in" BETWEEN CAST('1800-01-01 00:00:00' AS TIMESTAMP) AND CAST('3000-01-01 00:00:00' AS TIMESTAMP)
      THEN "o"."check_in"
    END
  )) AS DOUBLE) AS "f8",
  CAST(EXTRACT(HOUR FROM MAX(
    CASE
      WHEN "o"."check_in" BETWEEN CAST('1800-01-01 00:00:00' AS TIMESTAMP) AND CAST('3000-01-01 00:00:00' AS TIMESTAMP)
      THEN "o"."check_in"
    END
  )) AS DOUBLE) AS "f9",
  CAST(EXTRACT(MONTH FROM MAX(
    CASE
      WHEN "o"."check_out" BETWEEN CAST('1800-01-01 00:00:00' AS TIMESTAMP) AND CAST('3000-01-01 00:00:00' AS TIMESTAMP)
      THEN "o"."check_out"
    END
  )) AS DOUBLE) AS "f10",
  CAST(EXTRACT(DAY FROM MAX(
    CASE
      WHEN "o"."check_out" BETWEEN CAST('1800-01-01 00:00:00' AS TIMESTAMP) AND CAST('3000-01-01 00:00:00' AS TIMESTAMP)
      THEN "o"."check_out"
    END
  )) AS DOUBLE) AS "f11",
  CAST(EXTRACT(DAYOFWEEK FROM MAX(
    CASE
      WHEN "o"."check_out" BETWEEN CAST('1800-01-01 00:00:00' AS TIMESTAMP) AND CAST('3000-01-01 00:00:00' AS TIMESTAMP)
      THEN "o"."check_out"
    END
  )) AS DOUBLE) AS "f12",
  CAST(EXTRACT(HOUR FROM MAX(
    CASE
      WHEN "o"."check_out" BETWEEN CAST('1800-01-01 00:00:00' AS TIMESTAMP) AND CAST('3000-01-01 00:00:00' AS TIMESTAMP)
      THEN "o"."check_out"
    END
  )) AS DOUBLE) AS "f13"
FROM "rfm_examples_x" AS "e"
LEFT JOIN "bookings" AS "o"
  ON "o"."nr" = "e"."entity" AND "o"."booked_at" <= "e"."as_of"
LEFT JOIN "guests" AS "p0"
  ON "p0"."name" = "o"."guest"
GROUP BY
  "e"."example_id"
ORDER BY
  "e"."example_id"
