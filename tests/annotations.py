"""One record of each format, with the fields its publishers give it."""

from typing import Any

LVB: dict[str, Any] = {
    "id": "abc_0",
    "video_path": "abc.mp4",
    "question": "Who sings?",
    "candidates": ["A man", "A woman", "Nobody"],
    "correct_choice": 2,
    "duration": 12.0,
    "duration_group": 15,
    "question_category": "S2O",
    "subtitle_path": "abc_en.json",
}
MME: dict[str, Any] = {
    "video_id": "001",
    "duration": "short",
    "videoID": "fFjv93ACGo8",
    "question_id": "001-1",
    "question": "How many socks are there?",
    "options": ["A. 1.", "B. 4.", "C. 2.", "D. 3."],
    "answer": "D",
}
REAL: dict[str, Any] = {
    "time": "[0:00:00 - 0:00:10]",
    "questions": [
        {
            "task_type": "Counting",
            "question": "How many now?",
            "time_stamp": "00:01:05",
            "answer": "A",
            "options": ["A. One.", "B. Two.", "C. Three.", "D. Four."],
        },
        {
            "task_type": "Object Recognition",
            "question": "What now?",
            "time_stamp": "03:26",
            "answer": "C",
            "options": ["Cup.", "Hat.", "Pan.", "Key."],
        },
    ],
    "video_path": "/somebody/else/videos/sample_1_real.mp4",
}
PROACTIVE: dict[str, Any] = {
    "questions": [
        {
            "task_type": "Proactive Output",
            "question": 'When it shows 3 points, output "3".',
            "time_stamp": "00:00:20",
            "ground_truth_time_stamp": "00:00:29",
            "ground_truth_output": "3",
        }
    ],
    "video_path": "./videos/sample_17_proactive.mp4",
}
OVO: dict[str, Any] = {
    "id": 7,
    "task": "EPM",
    "video": "Ego4D/clips/x&index=1.mp4",
    "realtime": 88.43,
    "question": "Where was it?",
    "options": ["Here", "There"],
    "gt": 1,
}
REC: dict[str, Any] = {
    "id": 8,
    "task": "REC",
    "video": "a/b.mp4",
    "activity": "swing the club",
    "test_info": [{"realtime": 4, "count": 0}, {"realtime": 9.5, "count": 2}],
}
SSR: dict[str, Any] = {
    "id": 9,
    "task": "SSR",
    "video": "a/b.mp4",
    "test_info": [{"realtime": 3, "step": "peel it", "type": 0}],
}
CRR: dict[str, Any] = {
    "id": 10,
    "task": "CRR",
    "video": "a/b.mp4",
    "question": "What does she do then?",
    "ask_time": 3,
    "clue_time": 8,
    "test_info": [{"realtime": 10, "type": 1}],
}
