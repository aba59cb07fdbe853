SELECT
  "s"."key",
  "s"."i",
  "s"."label",
  AVG("s"."label") OVER (
    PARTITION BY "s"."key"
    ORDER BY pg_temp.rfm_key("s"."i")
    ROWS BETWEEN 3 PRECEDING AND CURRENT ROW
  ) AS "mean4",
  AVG("s"."label") OVER (
    PARTITION BY "s"."key"
    ORDER BY pg_temp.rfm_key("s"."i")
    ROWS BETWEEN 11 PRECEDING AND CURRENT ROW
  ) AS "mean12",
  CAST((
    "s"."label" + CASE
      WHEN LAG("s"."i") OVER (PARTITION BY "s"."key" ORDER BY pg_temp.rfm_key("s"."i")) = "s"."i" + -1
      THEN LAG("s"."label") OVER (PARTITION BY "s"."key" ORDER BY pg_temp.rfm_key("s"."i"))
      ELSE 0.0
    END + CASE
      WHEN LEAD("s"."i") OVER (PARTITION BY "s"."key" ORDER BY pg_temp.rfm_key("s"."i")) = "s"."i" + 1
      THEN LEAD("s"."label") OVER (PARTITION BY "s"."key" ORDER BY pg_temp.rfm_key("s"."i"))
      ELSE 0.0
    END
  ) AS DOUBLE PRECISION) / (
    1.0 + CASE
      WHEN LAG("s"."i") OVER (PARTITION BY "s"."key" ORDER BY pg_temp.rfm_key("s"."i")) = "s"."i" + -1
      THEN 1.0
      ELSE 0.0
    END + CASE
      WHEN LEAD("s"."i") OVER (PARTITION BY "s"."key" ORDER BY pg_temp.rfm_key("s"."i")) = "s"."i" + 1
      THEN 1.0
      ELSE 0.0
    END
  ) AS "near",
  AVG("s"."label") OVER (
    PARTITION BY "s"."key", "s"."i" % 52
    ORDER BY pg_temp.rfm_key("s"."i")
    ROWS BETWEEN 3 PRECEDING AND CURRENT ROW
  ) AS "season0"
FROM (
  SELECT
    "o"."region_id" AS "key",
    "s"."i",
    AVG("s"."label") AS "label"
  FROM "rfm_series_x" AS "s"
  INNER JOIN "customers" AS "o"
    ON "o"."customer_id" = "s"."entity" AND "o"."created_at" <= "s"."anchor_time"
  WHERE
    NOT "o"."region_id" IS NULL
  GROUP BY
    "o"."region_id",
    "s"."i"
) AS "s"
