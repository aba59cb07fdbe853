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
    "L"."GROUP_ID",
    "L"."SPLIT",
    "L"."ENTITY",
    "L"."ANCHOR_TIME",
    "L"."AS_OF",
    "L"."ITEM",
    "L"."LABEL",
    "L"."RELEVANT"
  FROM "RFM_LABELLED_X" AS "L"
  WHERE
    "L"."SPLIT" IN ('query', 'backtest')
  UNION ALL
  SELECT
    "L"."GROUP_ID",
    "L"."SPLIT",
    "L"."ENTITY",
    "L"."ANCHOR_TIME",
    "L"."AS_OF",
    "L"."ITEM",
    "L"."LABEL",
    "L"."RELEVANT"
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
    WHERE
      "L"."SPLIT" IN ('context', 'backtest_context')
  ) AS "L"
  WHERE
    "L"."PLACE" <= CASE WHEN "L"."LABEL" THEN 250 ELSE 750 END
) AS "P"
