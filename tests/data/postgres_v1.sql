-- The tables of a PostgreSQL store of schema version 1, written by the program
-- that knew only that version: four submissions, four conflicts and a
-- duplicate.

CREATE TABLE submissions (
    sequence bigint NOT NULL,
    kind text NOT NULL,
    study_id text NOT NULL COLLATE pg_catalog."C",
    submission_id text NOT NULL COLLATE pg_catalog."C",
    site_id text,
    subject text,
    questionnaire text,
    status text,
    authored text,
    authored_at timestamp with time zone,
    sent_at timestamp with time zone,
    received_at timestamp with time zone NOT NULL,
    supersedes_submission_id text,
    reason_for_change text,
    content_sha256 bytea NOT NULL,
    answers jsonb NOT NULL,
    content bytea NOT NULL,
    CONSTRAINT submissions_content_sha256_check CHECK ((octet_length(content_sha256) = 32))
);

COMMENT ON COLUMN submissions.sequence IS 'Order of arrival at a server: its number times 2^40, and a count.';

COMMENT ON COLUMN submissions.kind IS 'questionnaire_response, patient_record or app_event';

COMMENT ON COLUMN submissions.subject IS 'FHIR reference, or the patient''s id';

COMMENT ON COLUMN submissions.questionnaire IS 'canonical url|version';

COMMENT ON COLUMN submissions.status IS 'FHIR code, e.g. completed';

COMMENT ON COLUMN submissions.authored IS 'As sent, with the device''s offset; authored_at is the instant of it.';

COMMENT ON COLUMN submissions.answers IS 'An object per answer, in the order of the form. See the view answers.';

COMMENT ON COLUMN submissions.content IS 'The original bytes (protobuf). In the other columns U+FFFD stands for U+0000, which they cannot hold.';

CREATE VIEW answers AS
 SELECT s.sequence,
    s.study_id,
    s.site_id,
    s.submission_id,
    s.subject,
    s.questionnaire,
    s.status,
    ((a.ordinality - 1))::integer AS "position",
    (a.value ->> 'link_id'::text) AS link_id,
    (a.value ->> 'type'::text) AS type,
    (a.value ->> 'value'::text) AS value,
    (a.value ->> 'unit'::text) AS unit,
    (a.value ->> 'system'::text) AS system,
    (a.value ->> 'display'::text) AS display,
    s.authored,
    s.received_at
   FROM (submissions s
     CROSS JOIN LATERAL jsonb_array_elements(s.answers) WITH ORDINALITY a(value, ordinality));

COMMENT ON VIEW answers IS 'One answer per row. Order by sequence, position to read them as filled in. Values are text as sent: decimals keep their digits.';

CREATE TABLE conflicts (
    conflict bigint NOT NULL,
    first_sequence bigint NOT NULL,
    kind text NOT NULL,
    study_id text NOT NULL COLLATE pg_catalog."C",
    submission_id text NOT NULL COLLATE pg_catalog."C",
    received_at timestamp with time zone NOT NULL,
    sent_at timestamp with time zone,
    content_sha256 bytea NOT NULL,
    content_bytes bigint NOT NULL,
    CONSTRAINT conflicts_content_sha256_check CHECK ((octet_length(content_sha256) = 32))
);

COMMENT ON TABLE conflicts IS 'Refused: another content under an id that was known.';

COMMENT ON COLUMN conflicts.first_sequence IS 'The submission that has the id.';

ALTER TABLE conflicts ALTER COLUMN conflict ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME conflicts_conflict_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE gaps (
    sequence bigint NOT NULL,
    reason text NOT NULL,
    CONSTRAINT gaps_reason_check CHECK ((reason = ANY (ARRAY['duplicate'::text, 'conflict'::text])))
);

COMMENT ON TABLE gaps IS 'Sequences that no submission has: the id was known when it came.';

CREATE TABLE sluice_schema (
    version bigint NOT NULL
);

COMMENT ON TABLE sluice_schema IS 'The version of these tables, one row.';

INSERT INTO conflicts OVERRIDING SYSTEM VALUE VALUES (1, 1, 'questionnaire_response', 'demo', '019caad7-5e18-7d5c-b460-be31201e69fe', '2026-11-30 13:56:11.676345+00', '2026-11-30 13:56:11.676078+00', '\x835af3be73f45f72ea95accd3a55998a6c5cbecf02f477d0d54c51cc95f8e988', 1089);
INSERT INTO conflicts OVERRIDING SYSTEM VALUE VALUES (2, 3, 'patient_record', 'demo', 'ac4dfb46-a485-4eb6-89da-c8667dc13c60', '2026-11-30 13:56:11.752719+00', NULL, '\x6c8e28dd90b811606978a199af0567734e4e245594185d445ea478d3472dca84', 457);
INSERT INTO conflicts OVERRIDING SYSTEM VALUE VALUES (3, 4, 'patient_record', 'demo', '39ac82c8-410c-4c68-ad09-e446bf6820e2', '2026-11-30 13:56:11.752719+00', NULL, '\x9576deef266b8a951b35f01fabec8aa64e812fd12bc2512e532036c63b0aa02e', 457);
INSERT INTO conflicts OVERRIDING SYSTEM VALUE VALUES (4, 3, 'app_event', 'demo', 'ac4dfb46-a485-4eb6-89da-c8667dc13c60', '2026-11-30 13:56:11.804002+00', NULL, '\xc3eeb4d21087d640c70795fc5f156f9169bd0085eaab6eae5366ea2080f7ec86', 82);

INSERT INTO gaps VALUES (2, 'conflict');
INSERT INTO gaps VALUES (6, 'conflict');
INSERT INTO gaps VALUES (5, 'conflict');
INSERT INTO gaps VALUES (7, 'conflict');
INSERT INTO gaps VALUES (8, 'duplicate');

INSERT INTO sluice_schema VALUES (1);

INSERT INTO submissions VALUES (1, 'questionnaire_response', 'demo', '019caad7-5e18-7d5c-b460-be31201e69fe', 'site-1', 'Patient/demo-001', 'http://example.org/Questionnaire/gad-7|1.0.0', 'completed', '2026-03-01T20:19:27+01:00', '2026-03-01 19:19:27+00', '2026-11-30 13:56:11.612826+00', '2026-11-30 13:56:11.615241+00', NULL, NULL, '\x0c8770c586614fa1142d57a2a9902501bdc9d0e3e81c24999288443927e9d4bd', '[{"type": "coding", "value": "LA6569-3", "system": "http://loinc.org", "display": "Several days", "link_id": "69725-0"}, {"type": "coding", "value": "LA6569-3", "system": "http://loinc.org", "display": "Several days", "link_id": "68509-9"}, {"type": "coding", "value": "LA6569-3", "system": "http://loinc.org", "display": "Several days", "link_id": "69733-4"}, {"type": "coding", "value": "LA6570-1", "system": "http://loinc.org", "display": "More than half the days", "link_id": "69734-2"}, {"type": "coding", "value": "LA6568-5", "system": "http://loinc.org", "display": "Not at all", "link_id": "69735-9"}, {"type": "coding", "value": "LA6569-3", "system": "http://loinc.org", "display": "Several days", "link_id": "69689-8"}, {"type": "coding", "value": "LA6568-5", "system": "http://loinc.org", "display": "Not at all", "link_id": "69736-7"}, {"type": "integer", "value": 6, "link_id": "70274-6"}, {"type": "coding", "value": "LA6573-5", "system": "http://loinc.org", "display": "Somewhat difficult", "link_id": "69722-7"}]', '\x0a2430313963616164372d356531382d376435632d623436302d626533313230316536396665120464656d6f1a06736974652d312292080a2c687474703a2f2f6578616d706c652e6f72672f5175657374696f6e6e616972652f6761642d377c312e302e3010021a120a1050617469656e742f64656d6f2d3030312219323032362d30332d30315432303a31393a32372b30313a30302a120a1050617469656e742f64656d6f2d30303132120a1050617469656e742f64656d6f2d3030313a5d0a0736393732352d3012244665656c696e67206e6572766f75732c20616e78696f75732c206f72206f6e20656467651a2c4a2a0a10687474703a2f2f6c6f696e632e6f72671a084c41363536392d33220c5365766572616c20646179733a630a0736383530392d39122a4e6f74206265696e672061626c6520746f2073746f70206f7220636f6e74726f6c20776f727279696e671a2c4a2a0a10687474703a2f2f6c6f696e632e6f72671a084c41363536392d33220c5365766572616c20646179733a610a0736393733332d341228576f727279696e6720746f6f206d7563682061626f757420646966666572656e74207468696e67731a2c4a2a0a10687474703a2f2f6c6f696e632e6f72671a084c41363536392d33220c5365766572616c20646179733a540a0736393733342d32121054726f75626c652072656c6178696e671a374a350a10687474703a2f2f6c6f696e632e6f72671a084c41363537302d3122174d6f7265207468616e2068616c662074686520646179733a650a0736393733352d39122e4265696e6720736f20726573746c6573732074686174206974206973206861726420746f20736974207374696c6c1a2a4a280a10687474703a2f2f6c6f696e632e6f72671a084c41363536382d35220a4e6f7420617420616c6c3a5d0a0736393638392d3812244265636f6d696e6720656173696c7920616e6e6f796564206f7220697272697461626c651a2c4a2a0a10687474703a2f2f6c6f696e632e6f72671a084c41363536392d33220c5365766572616c20646179733a690a0736393733362d3712324665656c696e67206166726169642c20617320696620736f6d657468696e6720617766756c206d696768742068617070656e1a2a4a280a10687474703a2f2f6c6f696e632e6f72671a084c41363536382d35220a4e6f7420617420616c6c3a1a0a0737303237342d36120b546f74616c2073636f72651a0218063abe010a0736393732322d37127f486f7720646966666963756c7420686176652074686573652070726f626c656d73206d61646520697420666f7220796f7520746f20646f20796f757220776f726b2c2074616b652063617265206f66207468696e677320617420686f6d652c206f722067657420616c6f6e672077697468206f746865722070656f706c653f1a324a300a10687474703a2f2f6c6f696e632e6f72671a084c41363537332d352212536f6d657768617420646966666963756c74');
INSERT INTO submissions VALUES (4, 'patient_record', 'demo', '39ac82c8-410c-4c68-ad09-e446bf6820e2', 'SITE-11', 'Patient/S00131', NULL, NULL, NULL, NULL, NULL, '2026-11-30 13:56:11.709104+00', NULL, NULL, '\xf280233064aa7c8593e277050d33ebd7369a3fe7a7d35b064f4d6c317146d19d', '[]', '\x0a2433396163383263382d343130632d346336382d616430392d653434366266363832306532120e50617469656e742f5330303133311a457b227265736f7572636554797065223a2250617469656e74222c2267656e646572223a2266656d616c65222c22626972746844617465223a22313934342d30312d3236227d');
INSERT INTO submissions VALUES (3, 'patient_record', 'demo', 'ac4dfb46-a485-4eb6-89da-c8667dc13c60', 'SITE-11', 'Patient/S01728', NULL, NULL, NULL, NULL, NULL, '2026-11-30 13:56:11.709104+00', NULL, NULL, '\x9706d5e2af406b63522796875dd8e4e2879f08d184881905344eb1fb4657808c', '[]', '\x0a2461633464666234362d613438352d346562362d383964612d633836363764633133633630120e50617469656e742f5330313732381a437b227265736f7572636554797065223a2250617469656e74222c2267656e646572223a226d616c65222c22626972746844617465223a22313938342d31312d3235227d');
INSERT INTO submissions VALUES (9, 'questionnaire_response', 'demo', '019cac48-0ce8-7fcb-9971-174494d6493c', 'site-1', 'Patient/demo-003', 'http://example.org/Questionnaire/phq-9|1.0.0', 'completed', '2026-03-01T21:02:09-05:00', '2026-03-02 02:02:09+00', '2026-11-30 13:56:29.378087+00', '2026-11-30 13:56:29.378567+00', NULL, NULL, '\x095367f47282bea3e68d1c65a7d4c91a1db0c910d2fd44951a7d6c5a80207532', '[{"type": "coding", "value": "LA6568-5", "system": "http://loinc.org", "display": "Not at all", "link_id": "44250-9"}, {"type": "coding", "value": "LA6568-5", "system": "http://loinc.org", "display": "Not at all", "link_id": "44255-8"}, {"type": "coding", "value": "LA6568-5", "system": "http://loinc.org", "display": "Not at all", "link_id": "44259-0"}, {"type": "coding", "value": "LA6568-5", "system": "http://loinc.org", "display": "Not at all", "link_id": "44254-1"}, {"type": "coding", "value": "LA6568-5", "system": "http://loinc.org", "display": "Not at all", "link_id": "44251-7"}, {"type": "coding", "value": "LA6568-5", "system": "http://loinc.org", "display": "Not at all", "link_id": "44258-2"}, {"type": "coding", "value": "LA6568-5", "system": "http://loinc.org", "display": "Not at all", "link_id": "44252-5"}, {"type": "coding", "value": "LA6568-5", "system": "http://loinc.org", "display": "Not at all", "link_id": "44253-3"}, {"type": "coding", "value": "LA6568-5", "system": "http://loinc.org", "display": "Not at all", "link_id": "44260-8"}, {"type": "integer", "value": 0, "link_id": "44261-6"}]', '\x0a2430313963616334382d306365382d376663622d393937312d313734343934643634393363120464656d6f1a06736974652d3122990a0a2c687474703a2f2f6578616d706c652e6f72672f5175657374696f6e6e616972652f7068712d397c312e302e3010021a120a1050617469656e742f64656d6f2d3030332219323032362d30332d30315432313a30323a30392d30353a30302a120a1050617469656e742f64656d6f2d30303332120a1050617469656e742f64656d6f2d3030333a620a0734343235302d39122b4c6974746c6520696e746572657374206f7220706c65617375726520696e20646f696e67207468696e67731a2a4a280a10687474703a2f2f6c6f696e632e6f72671a084c41363536382d35220a4e6f7420617420616c6c3a5b0a0734343235352d3812244665656c696e6720646f776e2c206465707265737365642c206f7220686f70656c6573731a2a4a280a10687474703a2f2f6c6f696e632e6f72671a084c41363536382d35220a4e6f7420617420616c6c3a6e0a0734343235392d30123754726f75626c652066616c6c696e67206f722073746179696e672061736c6565702c206f7220736c656570696e6720746f6f206d7563681a2a4a280a10687474703a2f2f6c6f696e632e6f72671a084c41363536382d35220a4e6f7420617420616c6c3a5c0a0734343235342d3112254665656c696e67207469726564206f7220686176696e67206c6974746c6520656e657267791a2a4a280a10687474703a2f2f6c6f696e632e6f72671a084c41363536382d35220a4e6f7420617420616c6c3a520a0734343235312d37121b506f6f72206170706574697465206f72206f766572656174696e671a2a4a280a10687474703a2f2f6c6f696e632e6f72671a084c41363536382d35220a4e6f7420617420616c6c3a96010a0734343235382d32125f4665656c696e67206261642061626f757420796f757273656c66202d206f72207468617420796f75206172652061206661696c757265206f722068617665206c657420796f757273656c66206f7220796f75722066616d696c7920646f776e1a2a4a280a10687474703a2f2f6c6f696e632e6f72671a084c41363536382d35220a4e6f7420617420616c6c3a8c010a0734343235322d35125554726f75626c6520636f6e63656e74726174696e67206f6e207468696e67732c20737563682061732072656164696e6720746865206e6577737061706572206f72207761746368696e672074656c65766973696f6e1a2a4a280a10687474703a2f2f6c6f696e632e6f72671a084c41363536382d35220a4e6f7420617420616c6c3ae0010a0734343235332d3312a8014d6f76696e67206f7220737065616b696e6720736f20736c6f776c792074686174206f746865722070656f706c6520636f756c642068617665206e6f74696365642e204f7220746865206f70706f73697465202d206265696e6720736f2066696467657479206f7220726573746c657373207468617420796f752068617665206265656e206d6f76696e672061726f756e642061206c6f74206d6f7265207468616e20757375616c1a2a4a280a10687474703a2f2f6c6f696e632e6f72671a084c41363536382d35220a4e6f7420617420616c6c3a85010a0734343236302d38124e54686f7567687473207468617420796f7520776f756c6420626520626574746572206f666620646561642c206f72206f662068757274696e6720796f757273656c6620696e20736f6d65207761791a2a4a280a10687474703a2f2f6c6f696e632e6f72671a084c41363536382d35220a4e6f7420617420616c6c3a1a0a0734343236312d36120b546f74616c2073636f72651a021800');

SELECT pg_catalog.setval('conflicts_conflict_seq', 4, true);

ALTER TABLE ONLY conflicts
    ADD CONSTRAINT conflicts_pkey PRIMARY KEY (conflict);

ALTER TABLE ONLY gaps
    ADD CONSTRAINT gaps_pkey PRIMARY KEY (sequence);

ALTER TABLE ONLY submissions
    ADD CONSTRAINT submissions_pkey PRIMARY KEY (sequence);

ALTER TABLE ONLY submissions
    ADD CONSTRAINT submissions_submission_id_study_id_key UNIQUE (submission_id, study_id);

ALTER TABLE ONLY conflicts
    ADD CONSTRAINT conflicts_first_sequence_fkey FOREIGN KEY (first_sequence) REFERENCES submissions(sequence);
