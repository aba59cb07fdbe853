SELECT
  "e"."example_id",
  MAX("e"."anchor_time") AS "anchor_time",
  MAX("e"."as_of") AS "as_of",
  MAX("o"."customer_id") AS "k0",
  MAX("o"."region_id") AS "k1",
  MAX("o"."status") AS "k2"
FROM "rfm_examples_x" AS "e"
LEFT JOIN "orders" AS "o"
  ON "o"."order_id" = "e"."entity" AND "o"."ordered_at" <= "e"."as_of"
GROUP BY
  "e"."example_id"
