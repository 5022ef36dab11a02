//! What the invented shop sells: kinds of goods, their attribute keys, and the values that a key can take.

/// A kind of goods, the value of `类型`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The value after `类型#`.
    pub name: &'static str,
    /// What an advertisement calls it.
    pub noun: &'static str,
    /// What the literal answer calls it.
    pub plain_noun: &'static str,
    /// Its measure word, as in 一件上衣.
    pub measure: &'static str,
    /// The part that carries a pattern, as in 衣身上的刺绣.
    pub body: &'static str,
    /// What its material is called: 面料 for clothes, 材质 for shoes and bags.
    pub stuff: &'static str,
    /// Its keys in the order in which lists name them, each with its values.
    pub keys: &'static [(&'static str, &'static [&'static str])],
}

const COLOURS: &[&str] = &["白色", "黑色", "灰色", "红色", "蓝色", "绿色", "粉色", "黄色", "米色", "棕色", "紫色"];
const STYLES: &[&str] = &["简约", "复古", "休闲", "甜美", "优雅", "文艺", "运动", "街头", "通勤", "清新"];
const SEASONS: &[&str] = &["春季", "夏季", "秋季", "冬季", "春秋", "四季"];
/// No coat is for summer.
const COAT_SEASONS: &[&str] = &["春季", "秋季", "冬季", "春秋", "四季"];
const CUTS: &[&str] = &["宽松", "修身", "显瘦", "收腰", "直筒", "廓形"];

/// Every kind.
pub const KINDS: &[Kind] = &[
    Kind {
        name: "上衣",
        noun: "上衣",
        plain_noun: "上衣",
        measure: "件",
        body: "衣身",
        stuff: "面料",
        keys: &[
            ("材质", &["纯棉", "亚麻", "牛仔布", "真丝", "雪纺", "针织", "羊毛", "蕾丝"]),
            ("颜色", COLOURS),
            ("风格", STYLES),
            ("图案", &["刺绣", "条纹", "格子", "印花", "波点", "纯色", "字母", "卡通", "碎花"]),
            ("版型", CUTS),
            ("领型", &["圆领", "翻领", "立领", "高领", "方领", "一字领", "娃娃领"]),
            ("袖型", &["长袖", "短袖", "七分袖", "无袖", "泡泡袖", "喇叭袖", "灯笼袖"]),
            ("适合季节", SEASONS),
        ],
    },
    Kind {
        name: "外套",
        noun: "外套",
        plain_noun: "外套",
        measure: "件",
        body: "衣身",
        stuff: "面料",
        keys: &[
            ("材质", &["纯棉", "牛仔布", "针织", "羊毛", "皮革", "灯芯绒", "毛呢", "丝绒"]),
            ("颜色", COLOURS),
            ("风格", STYLES),
            ("图案", &["刺绣", "条纹", "格子", "印花", "纯色", "字母", "卡通"]),
            ("版型", CUTS),
            ("领型", &["圆领", "翻领", "立领", "连帽", "西装领", "毛领"]),
            ("门襟", &["拉链", "单排扣", "双排扣", "系带", "暗扣", "牛角扣"]),
            ("适合季节", COAT_SEASONS),
        ],
    },
    Kind {
        name: "裤",
        noun: "裤子",
        plain_noun: "裤子",
        measure: "条",
        body: "裤身",
        stuff: "面料",
        keys: &[
            ("材质", &["纯棉", "亚麻", "牛仔布", "雪纺", "针织", "羊毛", "皮革", "灯芯绒"]),
            ("颜色", COLOURS),
            ("风格", STYLES),
            ("图案", &["刺绣", "条纹", "格子", "印花", "纯色", "字母"]),
            ("版型", &["宽松", "修身", "显瘦", "直筒", "阔腿", "小脚"]),
            ("裤长", &["长裤", "短裤", "九分裤", "八分裤", "七分裤", "五分裤"]),
            ("腰型", &["高腰", "中腰", "低腰", "松紧腰", "系带腰"]),
            ("适合季节", SEASONS),
        ],
    },
    Kind {
        name: "裙",
        noun: "裙子",
        plain_noun: "裙子",
        measure: "条",
        body: "裙身",
        stuff: "面料",
        keys: &[
            ("材质", &["纯棉", "亚麻", "牛仔布", "真丝", "雪纺", "针织", "蕾丝", "丝绒"]),
            ("颜色", COLOURS),
            ("风格", STYLES),
            ("图案", &["刺绣", "条纹", "格子", "印花", "波点", "纯色", "碎花"]),
            ("裙型", &["百褶裙", "连衣裙", "半身裙", "背带裙", "吊带裙", "蛋糕裙", "鱼尾裙"]),
            ("裙长", &["短款", "中长款", "长款", "及膝", "过膝", "迷你"]),
            ("腰型", &["高腰", "中腰", "低腰", "松紧腰", "系带腰"]),
            ("适合季节", SEASONS),
        ],
    },
    Kind {
        name: "鞋",
        noun: "鞋子",
        plain_noun: "鞋子",
        measure: "双",
        body: "鞋面",
        stuff: "材质",
        keys: &[
            ("材质", &["牛皮", "羊皮", "帆布", "网布", "绒面", "漆皮"]),
            ("颜色", COLOURS),
            ("风格", STYLES),
            ("图案", &["刺绣", "条纹", "格子", "印花", "纯色", "字母", "卡通"]),
            ("鞋跟", &["平跟", "低跟", "高跟", "粗跟", "细跟", "坡跟"]),
            ("鞋头", &["圆头", "尖头", "方头", "鱼嘴", "露趾"]),
            ("闭合方式", &["系带", "拉链", "魔术贴", "搭扣", "套脚"]),
            ("适合季节", SEASONS),
        ],
    },
    Kind {
        name: "包",
        noun: "包包",
        plain_noun: "包",
        measure: "个",
        body: "包身",
        stuff: "材质",
        keys: &[
            ("材质", &["牛皮", "羊皮", "帆布", "尼龙", "草编", "绒面", "漆皮"]),
            ("颜色", COLOURS),
            ("风格", STYLES),
            ("图案", &["刺绣", "条纹", "格子", "印花", "波点", "纯色", "字母", "卡通"]),
            ("包型", &["手提包", "单肩包", "斜挎包", "双肩包", "链条包", "水桶包"]),
            ("开合方式", &["拉链", "磁扣", "抽绳", "搭扣", "锁扣", "翻盖"]),
            ("尺寸", &["大号", "中号", "小号", "迷你"]),
            ("适合场合", &["上班", "约会", "旅行", "逛街", "聚会", "上学"]),
        ],
    },
];

/// Values that no honest shop would put on one article: a value, and those that exclude it.
const CONFLICTS: &[(&str, &[&str])] = &[
    ("夏季", &["羊毛", "皮革", "灯芯绒", "毛呢", "丝绒", "针织", "绒面", "高领", "毛领", "长袖", "长裤"]),
    (
        "冬季",
        &[
            "亚麻",
            "雪纺",
            "真丝",
            "蕾丝",
            "帆布",
            "网布",
            "短袖",
            "无袖",
            "七分袖",
            "一字领",
            "方领",
            "短裤",
            "五分裤",
            "七分裤",
            "八分裤",
            "吊带裙",
            "迷你",
            "短款",
            "鱼嘴",
            "露趾",
        ],
    ),
    ("四季", &["羊毛", "毛呢", "灯芯绒", "毛领", "高领", "短裤", "短袖", "无袖", "吊带裙", "鱼嘴", "露趾", "网布"]),
    (
        "运动",
        &[
            "亚麻",
            "高跟",
            "细跟",
            "尖头",
            "鱼嘴",
            "漆皮",
            "真丝",
            "蕾丝",
            "雪纺",
            "丝绒",
            "西装领",
            "鱼尾裙",
            "蛋糕裙",
            "草编",
        ],
    ),
    ("街头", &["鱼尾裙", "蛋糕裙", "娃娃领", "草编", "碎花"]),
    ("通勤", &["卡通", "吊带裙", "迷你", "短裤", "露趾", "上学", "草编"]),
    ("优雅", &["卡通", "字母", "网布", "魔术贴", "连帽"]),
    ("甜美", &["西装领", "皮革", "廓形"]),
    ("雪纺", &["西装领", "毛领", "字母", "小脚"]),
    ("蕾丝", &["格子", "条纹", "字母", "卡通"]),
    ("针织", &["西装领"]),
    ("草编", &["字母", "格子", "漆皮"]),
    ("小脚", &["短裤", "五分裤"]),
    ("长裤", &["七分裤"]),
    ("牛仔布", &["鱼尾裙", "蛋糕裙", "西装领", "毛呢"]),
    ("半身裙", &["吊带裙"]),
    ("网布", &["高跟", "细跟", "尖头"]),
    ("短款", &["鱼尾裙"]),
    ("迷你", &["鱼尾裙", "上班", "上学", "双肩包", "旅行"]),
    ("双肩包", &["漆皮", "小号"]),
    ("上学", &["小号", "链条包", "手提包"]),
    ("高领", &["无袖"]),
    ("春季", &["毛领", "毛呢"]),
    ("秋季", &["无袖", "露趾", "鱼嘴", "草编"]),
    ("魔术贴", &["高跟", "细跟", "尖头", "漆皮"]),
    ("蛋糕裙", &["通勤"]),
    ("约会", &["通勤", "双肩包", "大号"]),
    ("聚会", &["通勤", "双肩包", "大号"]),
    ("一字领", &["长袖", "羊毛"]),
];

/// The kind whose `类型` is `name`.
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// Whether one article may have both values.
pub fn compatible(a: &str, b: &str) -> bool {
    let excludes = |x: &str, y: &str| CONFLICTS.iter().any(|(value, others)| *value == x && others.contains(&y));
    !excludes(a, b) && !excludes(b, a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflicts_name_values_of_the_catalogue() {
        let known = |value: &str| KINDS.iter().any(|k| k.keys.iter().any(|(_, values)| values.contains(&value)));
        for (value, others) in CONFLICTS {
            assert!(known(value), "{value}");
            for other in *others {
                assert!(known(other), "{value}: {other}");
                assert!(!compatible(value, other) && !compatible(other, value));
            }
        }
        assert!(compatible("牛仔布", "白色"));
    }

    #[test]
    fn no_value_holds_a_sign_of_the_list_form() {
        for kind in KINDS {
            for (key, values) in kind.keys {
                for text in values.iter().chain([key]) {
                    assert!(!text.contains(['#', '*']), "{text}");
                }
            }
        }
    }
}
