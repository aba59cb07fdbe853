SELECT
  *
FROM (
  SELECT
    "n"."rfm example_id" AS "example_id",
    1 AS "hop",
    '<orders' AS "link",
    "n"."order_id" AS "order_id",
    "n"."customer_id" AS "customer_id",
    "n"."region_id" AS "region_id",
    CASE WHEN "n"."ordered_at" <= "n"."rfm as_of" THEN "n"."ordered_at" END AS "ordered_at",
    "n"."amount" AS "amount",
    "n"."status" AS "status",
    CASE WHEN "n"."paid_at" <= "n"."rfm as_of" THEN "n"."paid_at" END AS "paid_at"
  FROM "rfm_pick2_x" AS "n"
) AS "rows"
ORDER BY
  "example_id",
  "order_id"
