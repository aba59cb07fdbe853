SELECT
  "q"."entity"
FROM (
  SELECT
    "e"."customer_id" AS "entity"
  FROM "customers" AS "e"
) AS "q"
WHERE
  MD5(CAST("q"."entity" AS TEXT) || '|part 0') < '10000000'
  OR CAST("q"."entity" AS TEXT) IN ('7')
