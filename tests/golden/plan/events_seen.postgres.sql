WITH "asked" AS (
  SELECT
    "k0" AS "g0",
    "k1" AS "g1",
    MAX("as_of") AS "latest"
  FROM "rfm_own_x"
  GROUP BY
    "k0",
    "k1"
), "seen" AS (
  SELECT
    "r0"."order_id" AS "entity",
    "r0"."ordered_at" AS "t",
    CAST((
      RANK() OVER (
        PARTITION BY "r0"."customer_id", "r0"."region_id"
        ORDER BY pg_temp.rfm_key("r0"."ordered_at")
      ) - 1
    ) AS DOUBLE PRECISION) AS "n"
  FROM "orders" AS "r0"
  INNER JOIN "asked" AS "a"
    ON "r0"."customer_id" = "a"."g0"
    AND "r0"."region_id" = "a"."g1"
    AND "r0"."ordered_at" <= "a"."latest"
)
SELECT
  "e"."example_id" AS "example_id",
  MAX("s"."n") AS "f0"
FROM "rfm_examples_x" AS "e"
LEFT JOIN "seen" AS "s"
  ON "s"."entity" = "e"."entity" AND "s"."t" <= "e"."as_of"
GROUP BY
  "e"."example_id"
ORDER BY
  pg_temp.rfm_key("e"."example_id")
