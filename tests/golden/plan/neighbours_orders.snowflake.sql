SELECT
  *
FROM (
  SELECT
    "N"."rfm example_id" AS "EXAMPLE_ID",
    1 AS "HOP",
    '<orders' AS "LINK",
    "N"."ORDER_ID" AS "ORDER_ID",
    "N"."CUSTOMER_ID" AS "CUSTOMER_ID",
    "N"."REGION_ID" AS "REGION_ID",
    CASE WHEN "N"."ORDERED_AT" <= "N"."rfm as_of" THEN "N"."ORDERED_AT" END AS "ORDERED_AT",
    "N"."AMOUNT" AS "AMOUNT",
    "N"."STATUS" AS "STATUS",
    CASE WHEN "N"."PAID_AT" <= "N"."rfm as_of" THEN "N"."PAID_AT" END AS "PAID_AT"
  FROM "RFM_PICK2_X" AS "N"
) AS "ROWS"
ORDER BY
  "EXAMPLE_ID",
  "ORDER_ID"
