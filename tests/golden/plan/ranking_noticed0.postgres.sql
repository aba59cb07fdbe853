SELECT
  "n".*,
  ROW_NUMBER() OVER (
    PARTITION BY "n"."at"
    ORDER BY pg_temp.rfm_key("n"."entities_q") DESC NULLS LAST, pg_temp.rfm_key("n"."entities_1") DESC NULLS LAST, pg_temp.rfm_key("n"."item")
  ) AS "place"
FROM (
  SELECT
    "s"."at",
    "s"."item",
    COUNT(*) AS "entities",
    SUM(CASE WHEN "s"."times_q" > 0 THEN 1 ELSE 0 END) AS "entities_q",
    SUM(CASE WHEN "s"."times_1" > 0 THEN 1 ELSE 0 END) AS "entities_1"
  FROM "rfm_sighted0_x" AS "s"
  GROUP BY
    "s"."at",
    "s"."item"
) AS "n"
