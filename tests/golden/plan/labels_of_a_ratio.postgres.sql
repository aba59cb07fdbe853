WITH "eligible" AS (
  SELECT DISTINCT
    "e"."customer_id" AS "entity",
    "a"."anchor_time" AS "anchor_time",
    "p0_0"."kind" AS "column_0",
    "e"."size" AS "column_1"
  FROM "customers" AS "e"
  INNER JOIN "anchors" AS "a"
    ON "e"."created_at" <= "a"."anchor_time"
  LEFT JOIN "regions" AS "p0_0"
    ON "p0_0"."region_id" = "e"."region_id"
  WHERE
    NOT "e"."customer_id" IS NULL
), "aggregation_0" AS (
  SELECT
    "w"."entity",
    "w"."anchor_time",
    SUM("w"."value") AS "value"
  FROM (
    SELECT
      "r1"."customer_id" AS "entity",
      "a"."anchor_time" AS "anchor_time",
      "r0"."quantity" AS "value"
    FROM "items" AS "r0"
    INNER JOIN "orders" AS "r1"
      ON "r1"."order_id" = "r0"."order_id"
    INNER JOIN (
      SELECT
        "a".*,
        PG_TEMP.RFM_PLACES(
          WIDTH_BUCKET(
            "a"."anchor_time" + INTERVAL '1 MICROSECOND',
            ARRAY(SELECT DISTINCT
              "moment" + INTERVAL '1 MICROSECOND'
            FROM (
              SELECT
                "a"."anchor_time" AS "moment"
              FROM "anchors" AS "a"
              UNION ALL
              SELECT
                "a"."anchor_time" + INTERVAL '1 MONTH' AS "moment"
              FROM "anchors" AS "a"
            ) AS "ends"
            WHERE
              NOT "moment" IS NULL
            ORDER BY
              1)
          ),
          WIDTH_BUCKET(
            "a"."anchor_time" + INTERVAL '1 MONTH' + INTERVAL '1 MICROSECOND',
            ARRAY(SELECT DISTINCT
              "moment" + INTERVAL '1 MICROSECOND'
            FROM (
              SELECT
                "a"."anchor_time" AS "moment"
              FROM "anchors" AS "a"
              UNION ALL
              SELECT
                "a"."anchor_time" + INTERVAL '1 MONTH' AS "moment"
              FROM "anchors" AS "a"
            ) AS "ends"
            WHERE
              NOT "moment" IS NULL
            ORDER BY
              1)
          ) - 1
        ) AS "place"
      FROM "anchors" AS "a"
    ) AS "a"
      ON "a"."place" = WIDTH_BUCKET(
        "r1"."ordered_at",
        ARRAY(SELECT DISTINCT
          "moment" + INTERVAL '1 MICROSECOND'
        FROM (
          SELECT
            "a"."anchor_time" AS "moment"
          FROM "anchors" AS "a"
          UNION ALL
          SELECT
            "a"."anchor_time" + INTERVAL '1 MONTH' AS "moment"
          FROM "anchors" AS "a"
        ) AS "ends"
        WHERE
          NOT "moment" IS NULL
        ORDER BY
          1)
      )
    LEFT JOIN "products" AS "p0_0"
      ON "p0_0"."product_id" = "r0"."product_id"
      AND "p0_0"."launched_at" <= "r1"."ordered_at"
    WHERE
      CAST("p0_0"."category" AS TEXT) LIKE 'a\_%' ESCAPE '!'
  ) AS "w"
  GROUP BY
    "w"."entity",
    "w"."anchor_time"
), "aggregation_1" AS (
  SELECT
    "w"."entity",
    "w"."anchor_time",
    COUNT(DISTINCT "w"."value") AS "value"
  FROM (
    SELECT
      "r0"."customer_id" AS "entity",
      "a"."anchor_time" AS "anchor_time",
      "r0"."status" AS "value"
    FROM "orders" AS "r0"
    INNER JOIN (
      SELECT
        "a".*,
        PG_TEMP.RFM_PLACES(
          WIDTH_BUCKET(
            "a"."anchor_time" + INTERVAL '1 MICROSECOND',
            ARRAY(SELECT DISTINCT
              "moment" + INTERVAL '1 MICROSECOND'
            FROM (
              SELECT
                "a"."anchor_time" AS "moment"
              FROM "anchors" AS "a"
              UNION ALL
              SELECT
                "a"."anchor_time" + INTERVAL '1 MONTH' AS "moment"
              FROM "anchors" AS "a"
            ) AS "ends"
            WHERE
              NOT "moment" IS NULL
            ORDER BY
              1)
          ),
          WIDTH_BUCKET(
            "a"."anchor_time" + INTERVAL '1 MONTH' + INTERVAL '1 MICROSECOND',
            ARRAY(SELECT DISTINCT
              "moment" + INTERVAL '1 MICROSECOND'
            FROM (
              SELECT
                "a"."anchor_time" AS "moment"
              FROM "anchors" AS "a"
              UNION ALL
              SELECT
                "a"."anchor_time" + INTERVAL '1 MONTH' AS "moment"
              FROM "anchors" AS "a"
            ) AS "ends"
            WHERE
              NOT "moment" IS NULL
            ORDER BY
              1)
          ) - 1
        ) AS "place"
      FROM "anchors" AS "a"
    ) AS "a"
      ON "a"."place" = WIDTH_BUCKET(
        "r0"."ordered_at",
        ARRAY(SELECT DISTINCT
          "moment" + INTERVAL '1 MICROSECOND'
        FROM (
          SELECT
            "a"."anchor_time" AS "moment"
          FROM "anchors" AS "a"
          UNION ALL
          SELECT
            "a"."anchor_time" + INTERVAL '1 MONTH' AS "moment"
          FROM "anchors" AS "a"
        ) AS "ends"
        WHERE
          NOT "moment" IS NULL
        ORDER BY
          1)
      )
  ) AS "w"
  GROUP BY
    "w"."entity",
    "w"."anchor_time"
), "aggregation_2" AS (
  SELECT
    "w"."entity",
    "w"."anchor_time",
    COUNT(*) AS "value"
  FROM (
    SELECT
      "r0"."customer_id" AS "entity",
      "a"."anchor_time" AS "anchor_time",
      1 AS "value"
    FROM "orders" AS "r0"
    INNER JOIN "anchors" AS "a"
      ON "r0"."ordered_at" <= "a"."anchor_time"
  ) AS "w"
  GROUP BY
    "w"."entity",
    "w"."anchor_time"
)
SELECT
  "eligible"."entity",
  "eligible"."anchor_time",
  CAST((
    CAST(COALESCE("aggregation_0"."value", 0) AS DOUBLE PRECISION) / NULLIF(
      CAST(COALESCE("aggregation_1"."value", 0) AS DOUBLE PRECISION),
      CAST(0 AS DOUBLE PRECISION)
    )
  ) AS DOUBLE PRECISION) AS "label"
FROM "eligible"
LEFT JOIN "aggregation_0"
  ON "aggregation_0"."entity" = "eligible"."entity"
  AND "aggregation_0"."anchor_time" = "eligible"."anchor_time"
LEFT JOIN "aggregation_1"
  ON "aggregation_1"."entity" = "eligible"."entity"
  AND "aggregation_1"."anchor_time" = "eligible"."anchor_time"
LEFT JOIN "aggregation_2"
  ON "aggregation_2"."entity" = "eligible"."entity"
  AND "aggregation_2"."anchor_time" = "eligible"."anchor_time"
WHERE
  (
    POSITION('o''c' IN CAST("eligible"."column_0" AS TEXT)) > 0
    AND (
      CAST(COALESCE("aggregation_2"."value", 0) AS DOUBLE PRECISION) * CAST(2 AS DOUBLE PRECISION)
    ) > "eligible"."column_1"
  )
  AND ABS(
    (
      CAST(COALESCE("aggregation_0"."value", 0) AS DOUBLE PRECISION) / NULLIF(
        CAST(COALESCE("aggregation_1"."value", 0) AS DOUBLE PRECISION),
        CAST(0 AS DOUBLE PRECISION)
      )
    )
  ) <= CAST('1E+300' AS DOUBLE PRECISION)
  AND NOT (
    (
      CAST(COALESCE("aggregation_0"."value", 0) AS DOUBLE PRECISION) / NULLIF(
        CAST(COALESCE("aggregation_1"."value", 0) AS DOUBLE PRECISION),
        CAST(0 AS DOUBLE PRECISION)
      )
    )
  ) IS NULL
