SELECT
  "i"."product_id" AS "item",
  "i"."launched_at" AS "since",
  CAST(NULL AS TIMESTAMP) AS "until"
FROM "products" AS "i"
WHERE
  NOT "i"."launched_at" IS NULL
