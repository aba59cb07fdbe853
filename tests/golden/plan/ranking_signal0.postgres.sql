SELECT
  "r1"."customer_id" AS "entity",
  "r0"."product_id" AS "item",
  "r1"."ordered_at" AS "happened",
  "r1"."ordered_at" AS "known",
  CAST(NULL AS TIMESTAMP) AS "until",
  COUNT(*) AS "n"
FROM "items" AS "r0"
INNER JOIN "orders" AS "r1"
  ON "r1"."order_id" = "r0"."order_id"
WHERE
  NOT "r0"."product_id" IS NULL
  AND NOT "r1"."customer_id" IS NULL
  AND NOT "r1"."ordered_at" IS NULL
GROUP BY
  "r1"."customer_id",
  "r0"."product_id",
  "r1"."ordered_at",
  "r1"."ordered_at",
  CAST(NULL AS TIMESTAMP)
