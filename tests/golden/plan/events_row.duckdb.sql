SELECT
  "e"."example_id" AS "example_id",
  MAX(CAST("o"."status" AS TEXT)) AS "f0",
  MAX(
    CASE
      WHEN "o"."paid_at" <= "e"."as_of"
      THEN CAST(DATE_DIFF('SECOND', "o"."paid_at", "e"."anchor_time") AS DOUBLE) / 86400.0
    END
  ) AS "f1",
  MAX(
    CASE
      WHEN "o"."ordered_at" <= "e"."as_of"
      THEN CAST(DATE_DIFF('SECOND', "o"."ordered_at", "e"."anchor_time") AS DOUBLE) / 86400.0
    END
  ) AS "f2",
  MAX(
    CASE
      WHEN ABS(CAST("p0"."size" AS DOUBLE)) < 1e-100
      THEN CAST(0 AS DOUBLE)
      WHEN ABS(CAST("p0"."size" AS DOUBLE)) <= 1e100
      THEN CAST("p0"."size" AS DOUBLE)
    END
  ) AS "f3",
  MAX(CAST("p0"."segment" AS TEXT)) AS "f4",
  MAX(CASE WHEN "p0"."vip" THEN 1.0 WHEN NOT (
    "p0"."vip"
  ) THEN 0.0 END) AS "f5",
  MAX(
    CASE
      WHEN "p0"."left_at" <= "e"."as_of"
      THEN CAST(DATE_DIFF('SECOND', "p0"."left_at", "e"."anchor_time") AS DOUBLE) / 86400.0
    END
  ) AS "f6",
  MAX(
    CASE
      WHEN "p0"."created_at" <= "e"."as_of"
      THEN CAST(DATE_DIFF('SECOND', "p0"."created_at", "e"."anchor_time") AS DOUBLE) / 86400.0
    END
  ) AS "f7",
  MAX(
    CASE
      WHEN ABS(CAST("p1"."area" AS DOUBLE)) < 1e-100
      THEN CAST(0 AS DOUBLE)
      WHEN ABS(CAST("p1"."area" AS DOUBLE)) <= 1e100
      THEN CAST("p1"."area" AS DOUBLE)
    END
  ) AS "f8",
  MAX(CAST("p1"."kind" AS TEXT)) AS "f9",
  MAX(
    CASE
      WHEN ABS(CAST("p2"."area" AS DOUBLE)) < 1e-100
      THEN CAST(0 AS DOUBLE)
      WHEN ABS(CAST("p2"."area" AS DOUBLE)) <= 1e100
      THEN CAST("p2"."area" AS DOUBLE)
    END
  ) AS "f10",
  MAX(CAST("p2"."kind" AS TEXT)) AS "f11",
  MAX(
    CASE
      WHEN CAST("o"."status" AS TEXT) = CAST("p0"."segment" AS TEXT)
      THEN 1.0
      WHEN NOT (
        CAST("o"."status" AS TEXT) = CAST("p0"."segment" AS TEXT)
      )
      THEN 0.0
    END
  ) AS "f12",
  MAX(
    CASE
      WHEN CAST("o"."status" AS TEXT) = CAST("p1"."kind" AS TEXT)
      THEN 1.0
      WHEN NOT (
        CAST("o"."status" AS TEXT) = CAST("p1"."kind" AS TEXT)
      )
      THEN 0.0
    END
  ) AS "f13",
  MAX(
    CASE
      WHEN CAST("o"."status" AS TEXT) = CAST("p2"."kind" AS TEXT)
      THEN 1.0
      WHEN NOT (
        CAST("o"."status" AS TEXT) = CAST("p2"."kind" AS TEXT)
      )
      THEN 0.0
    END
  ) AS "f14",
  MAX(
    CASE
      WHEN CAST("p0"."segment" AS TEXT) = CAST("p1"."kind" AS TEXT)
      THEN 1.0
      WHEN NOT (
        CAST("p0"."segment" AS TEXT) = CAST("p1"."kind" AS TEXT)
      )
      THEN 0.0
    END
  ) AS "f15",
  MAX(
    CASE
      WHEN CAST("p0"."segment" AS TEXT) = CAST("p2"."kind" AS TEXT)
      THEN 1.0
      WHEN NOT (
        CAST("p0"."segment" AS TEXT) = CAST("p2"."kind" AS TEXT)
      )
      THEN 0.0
    END
  ) AS "f16",
  MAX(
    CASE
      WHEN CAST("p1"."kind" AS TEXT) = CAST("p2"."kind" AS TEXT)
      THEN 1.0
      WHEN NOT (
        CAST("p1"."kind" AS TEXT) = CAST("p2"."kind" AS TEXT)
      )
      THEN 0.0
    END
  ) AS "f17"
FROM "rfm_examples_x" AS "e"
LEFT JOIN "orders" AS "o"
  ON "o"."order_id" = "e"."entity" AND "o"."ordered_at" <= "e"."as_of"
LEFT JOIN "customers" AS "p0"
  ON "p0"."customer_id" = "o"."customer_id" AND "p0"."created_at" <= "e"."as_of"
LEFT JOIN "regions" AS "p1"
  ON "p1"."region_id" = "o"."region_id"
LEFT JOIN "regions" AS "p2"
  ON "p2"."region_id" = "p0"."region_id"
GROUP BY
  "e"."example_id"
ORDER BY
  "e"."example_id"
