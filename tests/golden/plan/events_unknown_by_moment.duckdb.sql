SELECT DISTINCT
  "e"."order_id" AS "entity",
  "e"."ordered_at" AS "anchor_time"
FROM "orders" AS "e"
WHERE
  NOT "e"."order_id" IS NULL
  AND "e"."ordered_at" <= CAST('2024-06-30 12:00:00' AS TIMESTAMP)
  AND (
    (
      "e"."amount"
    ) IS NULL
    OR COALESCE(
      CASE
        WHEN "e"."paid_at" BETWEEN CAST('1800-01-01 00:00:00' AS TIMESTAMP) AND CAST('3000-01-01 00:00:00' AS TIMESTAMP)
        THEN CASE
          WHEN "e"."ordered_at" IS NULL OR (
            "e"."paid_at" + INTERVAL '2' DAY
          ) IS NULL
          THEN NULL
          ELSE GREATEST("e"."ordered_at", "e"."paid_at" + INTERVAL '2' DAY)
        END
      END > CAST('2024-06-30 12:00:00' AS TIMESTAMP),
      TRUE
    )
  )
  AND "e"."status" = 'it''s lost'
