SELECT
  "m"."at" AS "at",
  "i"."product_id" AS "item",
  "i"."launched_at" AS "born",
  CAST("i"."category" AS TEXT) AS "c0",
  CASE
    WHEN ABS(CAST("i"."price" AS DOUBLE PRECISION)) < 1e-100
    THEN CAST(0 AS DOUBLE PRECISION)
    WHEN ABS(CAST("i"."price" AS DOUBLE PRECISION)) <= 1e100
    THEN CAST("i"."price" AS DOUBLE PRECISION)
  END AS "v0"
FROM "products" AS "i"
INNER JOIN "rfm_moments_x" AS "m"
  ON "i"."launched_at" <= "m"."at"
WHERE
  NOT "i"."product_id" IS NULL
