SELECT
  "e"."example_id",
  MAX("e"."anchor_time") AS "anchor_time",
  MAX("e"."as_of") AS "as_of",
  (ARRAY_AGG("o"."customer_id" ORDER BY "o"."customer_id" DESC NULLS LAST))[1] AS "k0",
  (ARRAY_AGG("o"."region_id" ORDER BY "o"."region_id" DESC NULLS LAST))[1] AS "k1",
  (ARRAY_AGG("o"."status" ORDER BY "o"."status" DESC NULLS LAST))[1] AS "k2"
FROM "rfm_examples_x" AS "e"
LEFT JOIN "orders" AS "o"
  ON "o"."order_id" = "e"."entity" AND "o"."ordered_at" <= "e"."as_of"
GROUP BY
  "e"."example_id"
