SELECT
  ROW_NUMBER() OVER (ORDER BY "X"."PART" ASC, "X"."ANCHOR_TIME" ASC, "X"."ENTITY" ASC, "X"."STEP" ASC) - 1 AS "EXAMPLE_ID",
  "X"."SPLIT",
  "X"."ENTITY",
  "X"."J",
  "X"."ANCHOR_TIME",
  "X"."ANCHOR_TIME" AS "AS_OF",
  "X"."STEP",
  "W"."START_AT" AS "FORECAST_FROM",
  "W"."END_AT" AS "FORECAST_UNTIL",
  "X"."LABEL"
FROM (
  SELECT
    'context' AS "SPLIT",
    0 AS "PART",
    "S"."ENTITY",
    "S"."J",
    "S"."ANCHOR_TIME",
    "S"."STEP",
    "S"."LABEL"
  FROM (
    SELECT
      "K"."ENTITY",
      "K"."J",
      "K"."ANCHOR_TIME",
      "K"."STEP",
      "K"."LABEL"
    FROM (
      SELECT
        "P"."ENTITY",
        "P"."J",
        "P"."ANCHOR_TIME",
        "P"."STEP",
        "P"."LABEL",
        ROW_NUMBER() OVER (ORDER BY "P"."DRAW" ASC) AS "AMONG"
      FROM (
        SELECT
          "R"."ENTITY",
          "R"."J",
          "R"."ANCHOR_TIME",
          "R"."STEP",
          "R"."LABEL",
          "R"."DRAW",
          ROW_NUMBER() OVER (
            PARTITION BY "R"."STEP"
            ORDER BY CASE WHEN "R"."IS_NEW" AND "R"."LOT" <= 125 THEN 0 ELSE 1 END ASC, "R"."DRAW" ASC
          ) AS "PLACE"
        FROM (
          SELECT
            *,
            MD5(
              CAST("D"."ENTITY" AS VARCHAR) || '|' || REGEXP_REPLACE(TO_VARCHAR(CAST("D"."ANCHOR_TIME" AS TIMESTAMP_NTZ), 'YYYY-MM-DD HH24:MI:SS.FF6'), '[.]?0+$', '') || '|' || CAST("D"."STEP" AS VARCHAR) || '|context 0'
            ) AS "DRAW",
            ROW_NUMBER() OVER (
              PARTITION BY "D"."STEP", (
                "D"."J" + "D"."STEP" > -8
              )
              ORDER BY MD5(
                CAST("D"."ENTITY" AS VARCHAR) || '|' || REGEXP_REPLACE(TO_VARCHAR(CAST("D"."ANCHOR_TIME" AS TIMESTAMP_NTZ), 'YYYY-MM-DD HH24:MI:SS.FF6'), '[.]?0+$', '') || '|' || CAST("D"."STEP" AS VARCHAR) || '|context 0'
              ) ASC
            ) AS "LOT",
            (
              "D"."J" + "D"."STEP" > -8
            ) AS "IS_NEW"
          FROM (
            SELECT
              "P"."ENTITY",
              "P"."J",
              "P"."ANCHOR_TIME",
              "S"."I" - "P"."J" + 1 AS "STEP",
              "S"."LABEL"
            FROM (
              SELECT
                "Z"."ENTITY",
                "Z"."J",
                "Z"."ANCHOR_TIME"
              FROM (
                SELECT
                  *,
                  DENSE_RANK() OVER (ORDER BY MD5(CAST("Q"."ENTITY" AS VARCHAR) || '|entity 0')) AS "LOT"
                FROM "RFM_PAIRS_X" AS "Q"
              ) AS "Z"
              WHERE
                "Z"."LOT" <= 500
            ) AS "P"
            INNER JOIN "RFM_SERIES_X" AS "S"
              ON "S"."ENTITY" = "P"."ENTITY" AND "S"."I" >= "P"."J" AND "S"."I" < "P"."J" + 4
            WHERE
              "S"."I" >= -60 AND "S"."I" < 0
          ) AS "D"
        ) AS "R"
      ) AS "P"
      WHERE
        "P"."PLACE" <= 250
    ) AS "K"
    WHERE
      "K"."AMONG" <= 1000
  ) AS "S"
  UNION ALL
  SELECT
    'backtest' AS "SPLIT",
    1 AS "PART",
    "S"."ENTITY",
    "S"."J",
    "S"."ANCHOR_TIME",
    "S"."STEP",
    "S"."LABEL"
  FROM (
    SELECT
      "P"."ENTITY",
      "P"."J",
      "P"."ANCHOR_TIME",
      "S"."I" - "P"."J" + 1 AS "STEP",
      "S"."LABEL"
    FROM (
      SELECT
        "Z"."ENTITY",
        "Z"."J",
        "Z"."ANCHOR_TIME"
      FROM (
        SELECT
          *,
          DENSE_RANK() OVER (ORDER BY MD5(CAST("Q"."ENTITY" AS VARCHAR) || '|backtest 0')) AS "LOT"
        FROM "RFM_PAIRS_X" AS "Q"
        WHERE
          "Q"."J" = -4
      ) AS "Z"
      WHERE
        "Z"."LOT" <= 500
    ) AS "P"
    INNER JOIN "RFM_SERIES_X" AS "S"
      ON "S"."ENTITY" = "P"."ENTITY" AND "S"."I" >= "P"."J" AND "S"."I" < "P"."J" + 4
  ) AS "S"
) AS "X"
INNER JOIN "RFM_WINDOWS_X" AS "W"
  ON "W"."I" = "X"."J" + "X"."STEP" - 1
