-- A journal of file version 1, written by the program that knew only that
-- version: position 1 and 7 were forgotten, 2 and 6 are in quarantine.
PRAGMA application_id = 1399616842;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE entries (
  position INTEGER PRIMARY KEY,
  method TEXT NOT NULL,
  kind TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  study_id TEXT NOT NULL,
  submission_id TEXT NOT NULL,
  site_id TEXT NOT NULL,
  received_at INTEGER NOT NULL,
  sent_at INTEGER,
  content_sha256 BLOB NOT NULL,
  content BLOB NOT NULL
) STRICT;
INSERT INTO entries VALUES(3,'RecordEvents','app_event',3,'study','id-3','',1700000000003000,1699999990000001,X'26a66b061e8f48f39927c312f25293959729eee95978e2892d49d3512a5cc092',X'0001ff');
INSERT INTO entries VALUES(4,'SubmitStream','questionnaire_response',4,'study','id-4','site-2',1700000000004000,NULL,X'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',X'');
INSERT INTO entries VALUES(5,'Submit','questionnaire_response',5,'study','id-5','',1700000000005000,NULL,X'32696d7b893f24038198fea040e570a846239d3b2c4f491cf457ab58f4df5190',X'636f6e74656e74206f662035');
CREATE TABLE quarantine (
  sequence INTEGER PRIMARY KEY,
  method TEXT NOT NULL,
  kind TEXT NOT NULL,
  study_id TEXT NOT NULL,
  submission_id TEXT NOT NULL,
  site_id TEXT NOT NULL,
  received_at INTEGER NOT NULL,
  sent_at INTEGER,
  content_sha256 BLOB NOT NULL,
  reason TEXT NOT NULL,
  tries INTEGER NOT NULL,
  quarantined_at INTEGER NOT NULL,
  content BLOB NOT NULL,
  -- Several contents may have come under one id; each is kept once.
  UNIQUE (submission_id, study_id, kind, content_sha256)
) STRICT;
INSERT INTO quarantine VALUES(2,'ImportPatients','patient_record','study','id-2','site-2',1700000000002000,NULL,X'ccfb1f970f304ee1e70e2d813e0d0f9344334f31891312c6961e13165521cd63','the store rejected it',3,1796034962032366,X'636f6e74656e74206f662032');
INSERT INTO quarantine VALUES(6,'ImportPatients','patient_record','study','id-6','site-2',1700000000006000,1699999990000001,X'aa18f247e7b20b18bf365341ee9c41e3c5de16dfaf68569e4cfa21c11dcade6a','processing failed',2,1796034962032857,X'636f6e74656e74206f662036');
CREATE TABLE positions (last INTEGER NOT NULL) STRICT;
INSERT INTO positions VALUES(7);
COMMIT;
