SELECT
  ROW_NUMBER() OVER (ORDER BY pg_temp.rfm_key("p"."group_id"), pg_temp.rfm_key("p"."item")) - 1 AS "example_id",
  "p"."group_id",
  "p"."split",
  "p"."entity",
  "p"."anchor_time",
  "p"."as_of",
  "p"."item",
  "p"."label",
  "p"."relevant"
FROM (
  SELECT
    "l"."group_id",
    "l"."split",
    "l"."entity",
    "l"."anchor_time",
    "l"."as_of",
    "l"."item",
    "l"."label",
    "l"."relevant"
  FROM "rfm_labelled_x" AS "l"
  WHERE
    "l"."split" IN ('query', 'backtest')
  UNION ALL
  SELECT
    "l"."group_id",
    "l"."split",
    "l"."entity",
    "l"."anchor_time",
    "l"."as_of",
    "l"."item",
    "l"."label",
    "l"."relevant"
  FROM (
    SELECT
      "l".*,
      ROW_NUMBER() OVER (
        PARTITION BY "l"."split", "l"."label"
        ORDER BY MD5(CAST("l"."group_id" AS TEXT) || '|' || CAST("l"."item" AS TEXT) || '|' || '0'), pg_temp.rfm_key("l"."group_id"), pg_temp.rfm_key("l"."item")
      ) AS "place"
    FROM "rfm_labelled_x" AS "l"
    WHERE
      "l"."split" IN ('context', 'backtest_context')
  ) AS "l"
  WHERE
    "l"."place" <= CASE WHEN "l"."label" THEN 250 ELSE 750 END
) AS "p"
