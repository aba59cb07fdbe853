SELECT
  ROW_NUMBER() OVER (ORDER BY "P"."GROUP_ID", "P"."ITEM") - 1 AS "EXAMPLE_ID",
  "P"."GROUP_ID",
  "P"."SPLIT",
  "P"."ENTITY",
  "P"."ANCHOR_TIME",
  "P"."AS_OF",
  "P"."ITEM",
  "P"."LABEL",
  "P"."RELEVANT"
FROM (
  SELECT
    "L".*,
    ROW_NUMBER() OVER (
      PARTITION BY "L"."SPLIT", "L"."LABEL"
      ORDER BY MD5(
        CAST("L"."GROUP_ID" AS VARCHAR) || '|' || CAST("L"."ITEM" AS VARCHAR) || '|' || '0'
      ), "L"."GROUP_ID", "L"."ITEM"
    ) AS "PLACE"
  FROM "RFM_LABELLED_X" AS "L"
) AS "P"
WHERE
  "P"."SPLIT" IN ('query', 'backtest')
  OR "P"."PLACE" <= CASE WHEN "P"."LABEL" THEN 250 ELSE 750 END
