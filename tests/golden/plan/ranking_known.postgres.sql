SELECT
  COUNT(*) AS "rows",
  COUNT(DISTINCT "r1"."customer_id") AS "entities"
FROM "items" AS "r0"
INNER JOIN "orders" AS "r1"
  ON "r1"."order_id" = "r0"."order_id"
WHERE
  "r1"."ordered_at" <= CAST('2024-03-01 00:00:00' AS TIMESTAMP)
