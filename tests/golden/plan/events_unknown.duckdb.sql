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
    OR "e"."ordered_at" + INTERVAL '36' HOUR > CAST('2024-06-30 12:00:00' AS TIMESTAMP)
  )
  AND "e"."status" = 'it''s lost'
