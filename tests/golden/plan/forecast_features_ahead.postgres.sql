SELECT
  "e"."example_id" AS "example_id",
  CAST("e"."step" AS DOUBLE PRECISION) AS "f0",
  "w"."month" AS "f1",
  "w"."quarter" AS "f2",
  "w"."day" AS "f3",
  "w"."week" AS "f4",
  "w"."weekend" AS "f5",
  "w"."days" AS "f6",
  "w"."hour" AS "f7",
  "w"."weekday" AS "f8",
  "v"."lag1" AS "f9",
  "v"."lag2" AS "f10",
  "v"."lag3" AS "f11",
  "v"."lag4" AS "f12",
  "v"."lag5" AS "f13",
  "v"."lag6" AS "f14",
  "v"."lag7" AS "f15",
  "v"."lag8" AS "f16",
  "v"."mean4" AS "f17",
  "v"."mean12" AS "f18",
  "v"."mean52" AS "f19",
  "v"."mean" AS "f20",
  "v"."spread" AS "f21",
  "v"."highest" AS "f22",
  "v"."lowest" AS "f23",
  CAST("v"."mean4" AS DOUBLE PRECISION) / NULLIF("v"."mean12", 0.0) AS "f24",
  "v"."count" AS "f25",
  "at4"."label" AS "f26",
  CASE WHEN "t"."back0" >= 2 THEN "at4"."near" END AS "f27",
  "at4"."season0" AS "f28",
  CAST("at4"."label" AS DOUBLE PRECISION) / NULLIF("then4"."mean12", 0.0) AS "f29",
  CAST(CASE WHEN "t"."back0" >= 2 THEN "at4"."near" END AS DOUBLE PRECISION) / NULLIF("then4"."mean12", 0.0) AS "f30",
  CAST("n0"."label" AS DOUBLE PRECISION) / NULLIF("n0"."mean12", 0.0) AS "f31",
  CAST("n0"."mean4" AS DOUBLE PRECISION) / NULLIF("n0"."mean12", 0.0) AS "f32",
  "n0"."mean12" AS "f33",
  CAST("at7"."label" AS DOUBLE PRECISION) / NULLIF("then7"."mean12", 0.0) AS "f34",
  CAST(CASE WHEN "t"."back0" >= 2 THEN "at7"."near" END AS DOUBLE PRECISION) / NULLIF("then7"."mean12", 0.0) AS "f35",
  CAST("n1"."label" AS DOUBLE PRECISION) / NULLIF("n1"."mean12", 0.0) AS "f36",
  CAST("n1"."mean4" AS DOUBLE PRECISION) / NULLIF("n1"."mean12", 0.0) AS "f37",
  "n1"."mean12" AS "f38",
  CAST("at11"."label" AS DOUBLE PRECISION) / NULLIF("then11"."mean12", 0.0) AS "f39",
  CAST(CASE WHEN "t"."back0" >= 2 THEN "at11"."near" END AS DOUBLE PRECISION) / NULLIF("then11"."mean12", 0.0) AS "f40",
  COALESCE("pw0"."share", 0) AS "f41",
  COALESCE("pn0"."share", 0) AS "f42",
  COALESCE("pu0"."share", 0) AS "f43",
  COALESCE("pw0"."v0", 0) AS "f44",
  COALESCE("pn0"."v0", 0) AS "f45",
  COALESCE("pu0"."v0", 0) AS "f46",
  COALESCE("pw1"."share", 0) AS "f47",
  COALESCE("pn1"."share", 0) AS "f48",
  COALESCE("pu1"."share", 0) AS "f49",
  COALESCE("pw2"."share", 0) AS "f50",
  COALESCE("pn2"."share", 0) AS "f51",
  COALESCE("pu2"."share", 0) AS "f52"
FROM "rfm_examples_x" AS "e"
INNER JOIN "rfm_steps_x" AS "t"
  ON "t"."step" = "e"."step"
INNER JOIN "rfm_windows_x" AS "w"
  ON "w"."i" = "e"."j" + "e"."step" - 1
INNER JOIN "rfm_examples_xb" AS "b"
  ON "b"."entity" = "e"."entity" AND "b"."anchor_time" = "e"."anchor_time"
LEFT JOIN "rfm_levels_x" AS "v"
  ON "v"."example_id" = "b"."example_id"
LEFT JOIN "rfm_rolled_x" AS "at4"
  ON "at4"."key" = "e"."entity" AND "at4"."i" = "e"."j" - "t"."back0"
LEFT JOIN "rfm_rolled_x" AS "then4"
  ON "then4"."key" = "e"."entity" AND "then4"."i" = "e"."j" - "t"."round0" - 1
LEFT JOIN "rfm_everybody_x" AS "n0"
  ON "n0"."key" = 0 AND "n0"."i" = "e"."j" - 1
LEFT JOIN "rfm_everybody_x" AS "at7"
  ON "at7"."key" = 0 AND "at7"."i" = "e"."j" - "t"."back0"
LEFT JOIN "rfm_everybody_x" AS "then7"
  ON "then7"."key" = 0 AND "then7"."i" = "e"."j" - "t"."round0" - 1
LEFT JOIN "rfm_parent0_x" AS "k1"
  ON "k1"."example_id" = "b"."example_id"
LEFT JOIN "rfm_siblings0_x" AS "n1"
  ON "n1"."key" = "k1"."key" AND "n1"."i" = "e"."j" - 1
LEFT JOIN "rfm_siblings0_x" AS "at11"
  ON "at11"."key" = "k1"."key" AND "at11"."i" = "e"."j" - "t"."back0"
LEFT JOIN "rfm_siblings0_x" AS "then11"
  ON "then11"."key" = "k1"."key" AND "then11"."i" = "e"."j" - "t"."round0" - 1
LEFT JOIN "rfm_covered0_x" AS "pw0"
  ON "pw0"."base" = "b"."example_id" AND "pw0"."i" = "w"."i"
LEFT JOIN "rfm_covered0_x" AS "pn0"
  ON "pn0"."base" = "b"."example_id" AND "pn0"."i" = "e"."j" - 1
LEFT JOIN "rfm_usual0_x" AS "pu0"
  ON "pu0"."base" = "b"."example_id"
LEFT JOIN "rfm_covered1_x" AS "pw1"
  ON "pw1"."base" = "b"."example_id" AND "pw1"."i" = "w"."i"
LEFT JOIN "rfm_covered1_x" AS "pn1"
  ON "pn1"."base" = "b"."example_id" AND "pn1"."i" = "e"."j" - 1
LEFT JOIN "rfm_usual1_x" AS "pu1"
  ON "pu1"."base" = "b"."example_id"
LEFT JOIN "rfm_covered2_x" AS "pw2"
  ON "pw2"."base" = "b"."example_id" AND "pw2"."i" = "w"."i"
LEFT JOIN "rfm_covered2_x" AS "pn2"
  ON "pn2"."base" = "b"."example_id" AND "pn2"."i" = "e"."j" - 1
LEFT JOIN "rfm_usual2_x" AS "pu2"
  ON "pu2"."base" = "b"."example_id"
ORDER BY
  pg_temp.rfm_key("e"."example_id")
