SELECT
  "e"."example_id" AS "example_id",
  NULLIF(STRING_AGG("l"."listed", '␟'
  ORDER BY
    pg_temp.rfm_key("l"."listed")), '') AS "f0"
FROM "rfm_examples_x" AS "e"
LEFT JOIN (
  SELECT
    "d"."example_id",
    "d"."listed",
    ROW_NUMBER() OVER (
      PARTITION BY "d"."example_id"
      ORDER BY pg_temp.rfm_key("d"."newest") DESC NULLS LAST, pg_temp.rfm_key("d"."listed")
    ) AS "place"
  FROM (
    SELECT
      "e"."example_id",
      CAST("p_0"."customer_id" AS TEXT) AS "listed",
      MAX("k0_0"."ordered_at") AS "newest"
    FROM "items" AS "r0"
    LEFT JOIN "orders" AS "k0_0"
      ON "k0_0"."order_id" = "r0"."order_id"
    INNER JOIN "rfm_examples_x" AS "e"
      ON "r0"."product_id" = "e"."entity" AND "k0_0"."ordered_at" <= "e"."as_of"
    LEFT JOIN "orders" AS "p_0"
      ON "p_0"."order_id" = "r0"."order_id" AND "p_0"."ordered_at" <= "e"."as_of"
    WHERE
      NOT CAST("p_0"."customer_id" AS TEXT) IS NULL
    GROUP BY
      "e"."example_id",
      CAST("p_0"."customer_id" AS TEXT)
  ) AS "d"
) AS "l"
  ON "l"."example_id" = "e"."example_id" AND "l"."place" <= 50
GROUP BY
  "e"."example_id"
ORDER BY
  pg_temp.rfm_key("e"."example_id")
