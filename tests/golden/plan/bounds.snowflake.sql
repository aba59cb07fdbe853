SELECT
  COALESCE(LAG("hi") OVER (ORDER BY "hi"), CAST('0001-01-01 00:00:00' AS TIMESTAMP)) AS "lo",
  "hi"
FROM (
  SELECT DISTINCT
    "hi"
  FROM (
    SELECT
      "as_of" AS "hi"
    FROM "rfm_examples_x"
    UNION ALL
    SELECT
      "anchor_time" - INTERVAL '30 DAY' AS "hi"
    FROM "rfm_examples_x"
    UNION ALL
    SELECT
      "anchor_time" - INTERVAL '90 DAY' AS "hi"
    FROM "rfm_examples_x"
    UNION ALL
    SELECT
      "anchor_time" - INTERVAL '365 DAY' AS "hi"
    FROM "rfm_examples_x"
  ) AS "m"
) AS "m"
