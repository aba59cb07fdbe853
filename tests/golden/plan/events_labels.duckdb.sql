SELECT DISTINCT
  "e"."order_id" AS "entity",
  "e"."ordered_at" AS "anchor_time",
  "e"."ordered_at" + INTERVAL '36' HOUR AS "known_at",
  CAST("e"."amount" AS DOUBLE) AS "label"
FROM "orders" AS "e"
WHERE
  NOT "e"."order_id" IS NULL
  AND "e"."ordered_at" <= CAST('2024-06-30 12:00:00' AS TIMESTAMP)
  AND "e"."ordered_at" + INTERVAL '36' HOUR <= CAST('2024-06-30 12:00:00' AS TIMESTAMP)
  AND NOT "e"."amount" IS NULL
  AND CAST("e"."amount" AS DOUBLE) <> CAST('NaN' AS DOUBLE)
  AND "e"."status" = 'it''s lost'
