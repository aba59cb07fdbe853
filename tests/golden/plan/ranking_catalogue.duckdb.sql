SELECT
  "m"."at" AS "at",
  "i"."product_id" AS "item",
  "i"."launched_at" AS "born",
  CAST("i"."category" AS TEXT) AS "c0",
  NULLIF(CAST("i"."price" AS DOUBLE), CAST('NaN' AS DOUBLE)) AS "v0"
FROM "products" AS "i"
INNER JOIN "rfm_moments_x" AS "m"
  ON "i"."launched_at" <= "m"."at"
WHERE
  NOT "i"."product_id" IS NULL
