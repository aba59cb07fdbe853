SELECT
  "x"."entity",
  "w"."i",
  "x"."anchor_time",
  "w"."end_at" AS "known_at",
  "x"."label"
FROM (
  SELECT
    "l"."entity",
    "l"."anchor_time",
    "l"."label"
  FROM (
    WITH "eligible" AS (
      SELECT DISTINCT
        "e"."customer_id" AS "entity",
        "a"."anchor_time" AS "anchor_time"
      FROM "customers" AS "e"
      INNER JOIN "rfm_starts0_x" AS "a"
        ON "e"."created_at" <= "a"."anchor_time"
      WHERE
        NOT "e"."customer_id" IS NULL
    ), "aggregation_0" AS (
      SELECT
        "w"."entity",
        "w"."anchor_time",
        SUM("w"."value") AS "value"
      FROM (
        SELECT
          "r0"."customer_id" AS "entity",
          "a"."anchor_time" AS "anchor_time",
          "r0"."amount" AS "value"
        FROM "orders" AS "r0"
        INNER JOIN (
          SELECT
            "a".*,
            UNNEST(
              GENERATE_SERIES(
                DATE_TRUNC('DAY', "a"."anchor_time"),
                "a"."anchor_time" + INTERVAL '7' DAY,
                INTERVAL '1' DAY
              )
            ) AS "rfm day"
          FROM "rfm_starts0_x" AS "a"
        ) AS "a"
          ON "a"."rfm day" = DATE_TRUNC('DAY', "r0"."ordered_at")
          AND (
            "r0"."ordered_at" > "a"."anchor_time"
            AND "r0"."ordered_at" <= "a"."anchor_time" + INTERVAL '7' DAY
          )
      ) AS "w"
      GROUP BY
        "w"."entity",
        "w"."anchor_time"
    )
    SELECT
      "eligible"."entity",
      "eligible"."anchor_time",
      CAST(COALESCE("aggregation_0"."value", 0) AS DOUBLE) AS "label"
    FROM "eligible"
    LEFT JOIN "aggregation_0"
      ON "aggregation_0"."entity" = "eligible"."entity"
      AND "aggregation_0"."anchor_time" = "eligible"."anchor_time"
    WHERE
      NOT (
        COALESCE("aggregation_0"."value", 0)
      ) IS NULL
  ) AS "l"
) AS "x"
INNER JOIN "rfm_windows_x" AS "w"
  ON "w"."start_at" = "x"."anchor_time"
WHERE
  "x"."label" <> CAST('NaN' AS DOUBLE)
