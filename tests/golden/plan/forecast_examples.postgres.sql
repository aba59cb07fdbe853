SELECT
  ROW_NUMBER() OVER (
    ORDER BY pg_temp.rfm_key("x"."part") ASC, pg_temp.rfm_key("x"."anchor_time") ASC, pg_temp.rfm_key("x"."entity") ASC, pg_temp.rfm_key("x"."step") ASC
  ) - 1 AS "example_id",
  "x"."split",
  "x"."entity",
  "x"."j",
  "x"."anchor_time",
  "x"."anchor_time" AS "as_of",
  "x"."step",
  "w"."start_at" AS "forecast_from",
  "w"."end_at" AS "forecast_until",
  "x"."label"
FROM (
  SELECT
    'context' AS "split",
    0 AS "part",
    "s"."entity",
    "s"."j",
    "s"."anchor_time",
    "s"."step",
    "s"."label"
  FROM (
    SELECT
      "k"."entity",
      "k"."j",
      "k"."anchor_time",
      "k"."step",
      "k"."label"
    FROM (
      SELECT
        "p"."entity",
        "p"."j",
        "p"."anchor_time",
        "p"."step",
        "p"."label",
        ROW_NUMBER() OVER (ORDER BY pg_temp.rfm_key("p"."draw") ASC) AS "among"
      FROM (
        SELECT
          "r"."entity",
          "r"."j",
          "r"."anchor_time",
          "r"."step",
          "r"."label",
          "r"."draw",
          ROW_NUMBER() OVER (
            PARTITION BY "r"."step"
            ORDER BY CASE WHEN "r"."is_new" AND "r"."lot" <= 125 THEN 0 ELSE 1 END ASC, pg_temp.rfm_key("r"."draw") ASC
          ) AS "place"
        FROM (
          SELECT
            *,
            MD5(
              CAST("d"."entity" AS TEXT) || '|' || CAST("d"."anchor_time" AS TEXT) || '|' || CAST("d"."step" AS TEXT) || '|context 0'
            ) AS "draw",
            ROW_NUMBER() OVER (
              PARTITION BY "d"."step", (
                "d"."j" + "d"."step" > -8
              )
              ORDER BY MD5(
                CAST("d"."entity" AS TEXT) || '|' || CAST("d"."anchor_time" AS TEXT) || '|' || CAST("d"."step" AS TEXT) || '|context 0'
              ) ASC
            ) AS "lot",
            (
              "d"."j" + "d"."step" > -8
            ) AS "is_new"
          FROM (
            SELECT
              "p"."entity",
              "p"."j",
              "p"."anchor_time",
              "s"."i" - "p"."j" + 1 AS "step",
              "s"."label"
            FROM (
              SELECT
                "z"."entity",
                "z"."j",
                "z"."anchor_time"
              FROM (
                SELECT
                  *,
                  DENSE_RANK() OVER (ORDER BY MD5(CAST("q"."entity" AS TEXT) || '|entity 0')) AS "lot"
                FROM "rfm_pairs_x" AS "q"
              ) AS "z"
              WHERE
                "z"."lot" <= 500
            ) AS "p"
            INNER JOIN "rfm_series_x" AS "s"
              ON "s"."entity" = "p"."entity" AND "s"."i" >= "p"."j" AND "s"."i" < "p"."j" + 4
            WHERE
              "s"."i" >= -60 AND "s"."i" < 0
          ) AS "d"
        ) AS "r"
      ) AS "p"
      WHERE
        "p"."place" <= 250
    ) AS "k"
    WHERE
      "k"."among" <= 1000
  ) AS "s"
  UNION ALL
  SELECT
    'backtest' AS "split",
    1 AS "part",
    "s"."entity",
    "s"."j",
    "s"."anchor_time",
    "s"."step",
    "s"."label"
  FROM (
    SELECT
      "p"."entity",
      "p"."j",
      "p"."anchor_time",
      "s"."i" - "p"."j" + 1 AS "step",
      "s"."label"
    FROM (
      SELECT
        "z"."entity",
        "z"."j",
        "z"."anchor_time"
      FROM (
        SELECT
          *,
          DENSE_RANK() OVER (ORDER BY MD5(CAST("q"."entity" AS TEXT) || '|backtest 0')) AS "lot"
        FROM "rfm_pairs_x" AS "q"
        WHERE
          "q"."j" = -4
      ) AS "z"
      WHERE
        "z"."lot" <= 500
    ) AS "p"
    INNER JOIN "rfm_series_x" AS "s"
      ON "s"."entity" = "p"."entity" AND "s"."i" >= "p"."j" AND "s"."i" < "p"."j" + 4
  ) AS "s"
) AS "x"
INNER JOIN "rfm_windows_x" AS "w"
  ON "w"."i" = "x"."j" + "x"."step" - 1
