SELECT
  "e"."example_id" AS "example_id",
  MAX(CAST(LENGTH(CAST("o"."note" AS TEXT)) AS DOUBLE)) AS "f0",
  MAX(LEFT(CAST("o"."note" AS TEXT), 400)) AS "f1",
  MAX(CAST(LENGTH(CAST("p0"."about" AS TEXT)) AS DOUBLE)) AS "f2",
  MAX(LEFT(CAST("p0"."about" AS TEXT), 400)) AS "f3"
FROM "rfm_examples_x" AS "e"
LEFT JOIN customers AS "o"
  ON "o"."customer_id" = "e"."entity"
LEFT JOIN regions AS "p0"
  ON "p0"."region_id" = "o"."region_id"
GROUP BY
  "e"."example_id"
ORDER BY
  "e"."example_id"
