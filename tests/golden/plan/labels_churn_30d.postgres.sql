WITH "eligible" AS (
  SELECT DISTINCT
    "e"."customer_id" AS "entity",
    "a"."anchor_time" AS "anchor_time"
  FROM "customers" AS "e"
  INNER JOIN "anchors" AS "a"
    ON "e"."created_at" <= "a"."anchor_time"
  WHERE
    NOT "e"."customer_id" IS NULL
), "aggregation_0" AS (
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
                "a"."anchor_time" + INTERVAL '30 DAY' AS "moment"
              FROM "anchors" AS "a"
            ) AS "ends"
            WHERE
              NOT "moment" IS NULL
            ORDER BY
              1)
          ),
          WIDTH_BUCKET(
            "a"."anchor_time" + INTERVAL '30 DAY' + INTERVAL '1 MICROSECOND',
            ARRAY(SELECT DISTINCT
              "moment" + INTERVAL '1 MICROSECOND'
            FROM (
              SELECT
                "a"."anchor_time" AS "moment"
              FROM "anchors" AS "a"
              UNION ALL
              SELECT
                "a"."anchor_time" + INTERVAL '30 DAY' AS "moment"
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
            "a"."anchor_time" + INTERVAL '30 DAY' AS "moment"
          FROM "anchors" AS "a"
        ) AS "ends"
        WHERE
          NOT "moment" IS NULL
        ORDER BY
          1)
      )
    WHERE
      "r0"."status" <> 'it''s lost'
  ) AS "w"
  GROUP BY
    "w"."entity",
    "w"."anchor_time"
), "aggregation_1" AS (
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
    INNER JOIN (
      SELECT
        "a".*,
        PG_TEMP.RFM_PLACES(
          WIDTH_BUCKET(
            "a"."anchor_time" - INTERVAL '90 DAY' + INTERVAL '1 MICROSECOND',
            ARRAY(SELECT DISTINCT
              "moment" + INTERVAL '1 MICROSECOND'
            FROM (
              SELECT
                "a"."anchor_time" - INTERVAL '90 DAY' AS "moment"
              FROM "anchors" AS "a"
              UNION ALL
              SELECT
                "a"."anchor_time" AS "moment"
              FROM "anchors" AS "a"
            ) AS "ends"
            WHERE
              NOT "moment" IS NULL
            ORDER BY
              1)
          ),
          WIDTH_BUCKET(
            "a"."anchor_time" + INTERVAL '1 MICROSECOND',
            ARRAY(SELECT DISTINCT
              "moment" + INTERVAL '1 MICROSECOND'
            FROM (
              SELECT
                "a"."anchor_time" - INTERVAL '90 DAY' AS "moment"
              FROM "anchors" AS "a"
              UNION ALL
              SELECT
                "a"."anchor_time" AS "moment"
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
            "a"."anchor_time" - INTERVAL '90 DAY' AS "moment"
          FROM "anchors" AS "a"
          UNION ALL
          SELECT
            "a"."anchor_time" AS "moment"
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
)
SELECT
  "eligible"."entity",
  "eligible"."anchor_time",
  CAST(COALESCE("aggregation_0"."value", 0) = 0 AS BOOLEAN) AS "label"
FROM "eligible"
LEFT JOIN "aggregation_0"
  ON "aggregation_0"."entity" = "eligible"."entity"
  AND "aggregation_0"."anchor_time" = "eligible"."anchor_time"
LEFT JOIN "aggregation_1"
  ON "aggregation_1"."entity" = "eligible"."entity"
  AND "aggregation_1"."anchor_time" = "eligible"."anchor_time"
WHERE
  COALESCE("aggregation_1"."value", 0) > 0
  AND NOT (
    COALESCE("aggregation_0"."value", 0) = 0
  ) IS NULL
