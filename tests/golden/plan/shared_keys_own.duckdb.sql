SELECT
  "e"."example_id" AS "example_id",
  MAX(CAST("o"."customer_id" AS TEXT)) AS "f0",
  MAX(CAST("o"."region_id" AS TEXT)) AS "f1",
  MAX(CAST("p0_0"."region_id" AS TEXT)) AS "f2"
FROM "rfm_examples_x" AS "e"
LEFT JOIN "orders" AS "o"
  ON "o"."order_id" = "e"."entity" AND "o"."ordered_at" <= "e"."as_of"
LEFT JOIN "customers" AS "p0_0"
  ON "p0_0"."customer_id" = "o"."customer_id" AND "p0_0"."created_at" <= "e"."as_of"
GROUP BY
  "e"."example_id"
ORDER BY
  "e"."example_id"
