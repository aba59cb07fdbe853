WITH "seen" AS (
  SELECT
    "r0"."order_id" AS "entity",
    "r0"."ordered_at" AS "t",
    CASE
      WHEN NOT "r0"."customer_id" IS NULL AND NOT "r0"."region_id" IS NULL
      THEN CAST((
        RANK() OVER (
          PARTITION BY "r0"."customer_id", "r0"."region_id"
          ORDER BY pg_temp.rfm_key("r0"."ordered_at")
        ) - 1
      ) AS DOUBLE PRECISION)
    END AS "n0",
    CASE
      WHEN NOT "r0"."customer_id" IS NULL AND NOT "r0"."status" IS NULL
      THEN CAST((
        RANK() OVER (
          PARTITION BY "r0"."customer_id", "r0"."status"
          ORDER BY pg_temp.rfm_key("r0"."ordered_at")
        ) - 1
      ) AS DOUBLE PRECISION)
    END AS "n1",
    CASE
      WHEN NOT "r0"."region_id" IS NULL AND NOT "r0"."status" IS NULL
      THEN CAST((
        RANK() OVER (
          PARTITION BY "r0"."region_id", "r0"."status"
          ORDER BY pg_temp.rfm_key("r0"."ordered_at")
        ) - 1
      ) AS DOUBLE PRECISION)
    END AS "n2"
  FROM "orders" AS "r0"
  WHERE
    "r0"."ordered_at" <= (
      SELECT
        MAX("as_of")
      FROM "rfm_own_x"
    )
    AND (
      "r0"."customer_id" IN (
        SELECT
          "k0"
        FROM "rfm_own_x"
      )
      OR "r0"."region_id" IN (
        SELECT
          "k1"
        FROM "rfm_own_x"
      )
    )
)
SELECT
  "e"."example_id" AS "example_id",
  MAX("s"."n0") AS "f0",
  MAX("s"."n1") AS "f1",
  MAX("s"."n2") AS "f2"
FROM "rfm_examples_x" AS "e"
LEFT JOIN "seen" AS "s"
  ON "s"."entity" = "e"."entity" AND "s"."t" <= "e"."as_of"
GROUP BY
  "e"."example_id"
ORDER BY
  pg_temp.rfm_key("e"."example_id")
